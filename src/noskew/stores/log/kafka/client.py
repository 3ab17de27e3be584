"""What the Kafka log and its readers share: settings of the client, and its errors."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from noskew.errors import (
    ConfigError,
    CorruptDataError,
    InputError,
    LimitError,
    NoskewError,
    StoreConfigError,
    StoreUnavailableError,
    missing_extra,
)

try:
    from confluent_kafka import KafkaError, KafkaException
except ImportError as _error:
    raise missing_extra("confluent-kafka", "kafka", "a Kafka log") from _error

#: What correctness rests on; a caller's other value is refused.
CONSUMER: Mapping[str, object] = {
    "enable.auto.commit": False,
    "enable.auto.offset.store": False,
    "auto.offset.reset": "error",
    "enable.partition.eof": True,
    "isolation.level": "read_committed",
    "check.crcs": True,
}
PRODUCER: Mapping[str, object] = {"acks": "all", "enable.idempotence": True}
_SAME: Mapping[object, str] = {-1: "all", "-1": "all"}
#: Settings of the one that the other would warn of.
_CONSUMER_ONLY = ("fetch.", "queued.", "group.")
_PRODUCER_ONLY = ("linger.", "batch.", "queue.", "compression.", "sticky.", "message.send.")

_BROKEN = {KafkaError._BAD_MSG, KafkaError.INVALID_MSG, KafkaError._BAD_COMPRESSION}
_TOO_LARGE = {KafkaError.MSG_SIZE_TOO_LARGE, KafkaError.RECORD_LIST_TOO_LARGE}
NO_TOPIC = {
    KafkaError.UNKNOWN_TOPIC_OR_PART,
    KafkaError._UNKNOWN_TOPIC,
    KafkaError.UNKNOWN_TOPIC_ID,
}
_REFUSED = {
    KafkaError.TOPIC_AUTHORIZATION_FAILED,
    KafkaError.GROUP_AUTHORIZATION_FAILED,
    KafkaError.CLUSTER_AUTHORIZATION_FAILED,
    KafkaError.SASL_AUTHENTICATION_FAILED,
    KafkaError._AUTHENTICATION,
}
_ALWAYS: Mapping[str, object] = {
    # Until a broker is tried again that was away; the default of 10 s leaves a reader waiting.
    "reconnect.backoff.max.ms": 1_000,
    # Critical ones only: the client prints each attempt in vain, and calls say what concerns them.
    "log_level": 2,
}
_CONFIG = {KafkaError._INVALID_ARG, KafkaError.POLICY_VIOLATION, KafkaError.INVALID_CONFIG}


def settings(
    given: Mapping[str, object], needed: Mapping[str, object], defaults: Mapping[str, object]
) -> dict[str, object]:
    """The settings of a client: :data:`CONSUMER`, :data:`PRODUCER` or no ``needed`` ones.

    Raises ConfigError if one that is needed was given otherwise.
    """
    for name, value in needed.items():
        other = given.get(name, value)
        if str(_SAME.get(other, other)).lower() != str(value).lower():
            raise ConfigError(f"a Kafka log needs {name} = {value!r}, got {other!r}; leave it out")
    is_consumer = needed is CONSUMER
    foreign = _PRODUCER_ONLY if is_consumer else _CONSUMER_ONLY
    others = PRODUCER if is_consumer else CONSUMER
    mine = {n: v for n, v in given.items() if not n.startswith(foreign) and n not in others}
    # The library asks for a group, which is never used: whoever reads gives the offsets.
    group = {"group.id": "noskew"} if is_consumer else {}
    return {**_ALWAYS, **group, **defaults, **mine, **needed}


def translate(error: KafkaError, topic: str) -> NoskewError:
    """Our error for one of the client library."""
    code, text = error.code(), f"the Kafka topic {topic!r}: {error.str()} ({error.name()})"
    if code in NO_TOPIC:
        return StoreConfigError(f"{text}; create it, with message.timestamp.type=LogAppendTime")
    if code == KafkaError._UNKNOWN_PARTITION:
        return InputError(text)
    if code in _TOO_LARGE:
        return LimitError(
            f"{text}; raise max.message.bytes of the topic and message.max.bytes here"
        )
    if code in _BROKEN:
        return CorruptDataError(text)
    if code in _REFUSED:
        return StoreConfigError(text)
    if code in _CONFIG:
        return ConfigError(text)
    return StoreUnavailableError(text)


@contextmanager
def translated(topic: str) -> Iterator[None]:
    """Raise our errors for those of the client library."""
    try:
        yield
    except KafkaException as error:
        raise translate(error.args[0], topic) from error


def ignore(error: KafkaError) -> None:
    """Take an error of the client: calls report what concerns them, and it would print the rest."""

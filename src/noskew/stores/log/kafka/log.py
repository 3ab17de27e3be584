"""KafkaLog: a topic of Apache Kafka, or of what speaks its protocol."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from threading import Lock
from typing import Any

from noskew.errors import InputError, LimitError, StoreError
from noskew.stores.log.kafka.client import (
    CONSUMER,
    PRODUCER,
    ignore,
    settings,
    translate,
    translated,
)

# After the module that says which extra is missing.
from confluent_kafka import Consumer, KafkaError, KafkaException, Message, Producer  # isort: skip

from noskew.stores.log.base import EventLog
from noskew.stores.log.kafka.reader import KafkaReader
from noskew.stores.log.kafka.topic import OpenedTopic

#: How long the broker may take to answer.
TIMEOUT_S = 30.0
_POLL_S = 1.0
_DEFAULTS: Mapping[str, object] = {
    # An append waits for its messages anyway, and hands over many at once.
    "linger.ms": 0,
    # Costs this process nothing: there is less to send. JSON takes a third of the broker's disk.
    "compression.type": "lz4",
}
#: So many messages are handed over at a time: the first are on their way while others follow.
_BATCH = 5_000
_MAX_BYTES, _DEFAULT_MAX_BYTES = "message.max.bytes", 1_000_000
#: More than the client adds to a payload, so that it refuses none after it took the one before.
_OVERHEAD = 64
#: An append hears that another topic has the name after so many seconds.
_CHECK_EVERY_S = 1.0


class KafkaLog(EventLog):
    """A Kafka topic that exists.

    Parameters
    ----------
    topic
        Its name.
    config
        Settings of librdkafka, with ``bootstrap.servers`` at least; for producer and consumer.
    accept_create_time
        Take the time that a producer wrote into a message for its append time, where the topic
        has ``message.timestamp.type=CreateTime`` (Kafka's default). False: such a message
        raises StoreConfigError, for a producer's clock says nothing of when it was known.
    timeout_s
        How long the broker may take to answer, or to acknowledge an append.

    Notes
    -----
    Readers never use group offsets and never begin "somewhere else". They read committed
    messages only: those of an open transaction, and all after them, come when it ends, and
    :meth:`bounds` ends before them. Append times have milliseconds.

    An append returns when all replicas in sync have it (``acks=all``, idempotent); how many
    those are is the topic's ``min.insync.replicas``. Appends of one object follow each other.

    :attr:`identity` comes of the ids of cluster and topic. Once the topic was removed,
    :meth:`bounds` and readers of an open log raise StoreError, and appends do so within a
    second, whether or not another one has its name. Brokers before 2.8 give topics no id: there
    a topic that was made anew has the identity of the old one, and is told from it only as long
    as it is shorter; and the identity changes once, when the cluster gives ids.

    The client library's threads do not survive a fork: open the log in the child.
    """

    def __init__(
        self,
        topic: str,
        config: Mapping[str, object],
        *,
        accept_create_time: bool = False,
        timeout_s: float = TIMEOUT_S,
    ) -> None:
        self.topic = topic
        self._config = dict(config)
        self._accept_create_time = accept_create_time
        self._timeout_s = timeout_s
        self._lock = Lock()
        self._asking_lock = Lock()  # a consumer is for one thread at a time
        self._producer: Producer | None = None
        self._is_closed = False
        settings(config, PRODUCER, {})
        asking = {**settings(config, CONSUMER, {}), "error_cb": ignore}
        self._opened = OpenedTopic(topic, config, timeout_s)
        with translated(topic):
            self._asking = Consumer(asking)

    @property
    def identity(self) -> str:
        return self._opened.identity

    @property
    def partitions(self) -> int:
        self._refuse_closed()
        self._opened.check()
        return self._opened.count

    def append(self, partition: int, payloads: Sequence[bytes]) -> int:
        self._checked(partition)
        self._refuse_unfit(payloads)
        # One at a time: a failed append is given up as a whole, with all that is on its way.
        with self._lock:
            self._refuse_closed()
            delivery = _Delivery(len(payloads))
            try:
                with translated(self.topic):
                    self._deliver(partition, payloads, delivery)
            except BaseException:
                self._give_up()
                raise
        self._opened.check(_CHECK_EVERY_S)
        # Told to be a repetition, so the broker did not say where it stands.
        return delivery.last if delivery.last >= 0 else self.bounds(partition)[1] - 1

    def bounds(self, partition: int) -> tuple[int, int]:
        self._checked(partition)
        with self._asking_lock:
            self._refuse_closed()
            return self._opened.bounds(self._asking, partition)

    def reader(self, offsets: Mapping[int, int]) -> KafkaReader:
        self._refuse_closed()
        made = KafkaReader(
            self._opened, self._config, self._checked, accept_create_time=self._accept_create_time
        )
        try:
            for partition, offset in offsets.items():
                made.assign(partition, offset)
        except BaseException:
            made.close()
            raise
        return made

    def close(self) -> None:
        with self._lock, self._asking_lock:
            if not self._is_closed:
                self._is_closed = True
                self._give_up()
                self._asking.close()
                self._opened.close()

    def _sender(self) -> Producer:
        if self._producer is None:
            defaults = {**_DEFAULTS, "message.timeout.ms": int(self._timeout_s * 1_000)}
            own = {**settings(self._config, PRODUCER, defaults), "error_cb": ignore}
            self._producer = Producer(own)
        return self._producer

    def _give_up(self) -> None:
        """Drop the producer, and with it whatever it would still send."""
        producer, self._producer = self._producer, None
        if producer is not None:
            producer.purge()
            producer.flush(0)

    def _deliver(self, partition: int, payloads: Sequence[bytes], delivery: _Delivery) -> None:
        """Return once all is acknowledged."""
        producer, at = self._sender(), 0
        while at < len(payloads) and delivery.error is None:
            taken = self._hand_over(producer, partition, payloads[at : at + _BATCH], delivery)
            at += taken
            if at < len(payloads):  # take answers in between; if its buffer is full, wait for them
                producer.poll(0.0 if taken else _POLL_S)
        while delivery.missing and delivery.error is None:
            producer.flush(_POLL_S)  # at once, whatever linger.ms says
        if delivery.error is not None:
            raise translate(delivery.error, self.topic)

    def _hand_over(
        self, producer: Producer, partition: int, payloads: Sequence[bytes], delivery: _Delivery
    ) -> int:
        """How many of them, the first ones, the client has taken."""
        taken, error = self._produced(producer, partition, payloads, delivery)
        if error is not None and error.code() == KafkaError._UNKNOWN_PARTITION:
            # It was added after this client asked for the topic: it is there, so ask again.
            producer.list_topics(self.topic, timeout=self._timeout_s)
            taken, error = self._produced(producer, partition, payloads, delivery)
        # A buffer that is full and has nothing to send is too small for the message.
        if error is not None and (error.code() != KafkaError._QUEUE_FULL or not len(producer)):
            raise KafkaException(error)
        return taken

    def _produced(
        self, producer: Producer, partition: int, payloads: Sequence[bytes], delivery: _Delivery
    ) -> tuple[int, KafkaError | None]:
        """How many were taken, and why the next one was not."""
        batch: list[dict[str, Any]] = [{"value": p} for p in payloads]
        taken = producer.produce_batch(self.topic, batch, partition, on_delivery=delivery)
        return taken, next((m["_error"] for m in batch if "_error" in m), None)

    def _refuse_unfit(self, payloads: Sequence[bytes]) -> None:
        if not payloads:
            raise InputError("an append needs at least one message")
        most = int(str(self._config.get(_MAX_BYTES, _DEFAULT_MAX_BYTES)))
        largest = max(map(len, payloads))
        if largest > most - _OVERHEAD:
            raise LimitError(
                f"a message of {largest} bytes for the Kafka topic {self.topic!r}; at most "
                f"{most - _OVERHEAD} fit: raise max.message.bytes of the topic and {_MAX_BYTES} "
                f"here"
            )

    def _checked(self, partition: int) -> int:
        self._refuse_closed()
        # Partitions may have been added since.
        if not (0 <= partition < self._opened.count or 0 <= partition < self.partitions):
            raise InputError(
                f"the Kafka topic {self.topic!r} has partitions 0 to {self._opened.count - 1}, "
                f"not {partition}"
            )
        return partition

    def _refuse_closed(self) -> None:
        if self._is_closed:
            raise StoreError(f"the log of the Kafka topic {self.topic!r} is closed; open it again")


class _Delivery:
    """Counts the broker's answers for the messages of one append."""

    def __init__(self, count: int) -> None:
        self.missing = count
        self.last = -1
        self.error: KafkaError | None = None

    def __call__(self, error: KafkaError | None, message: Message) -> None:
        self.missing -= 1
        if error is not None:
            self.error = self.error or error
        elif self.missing == 0:
            offset = message.offset()
            self.last = -1 if offset is None else offset

"""Which topic a name means: one that was made anew under it is another log."""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import blake2b
from threading import Event
from time import monotonic
from typing import Any

import msgspec
from confluent_kafka import (
    Consumer,
    KafkaError,
    KafkaException,
    TopicCollection,
    TopicPartition,
    Uuid,
)
from confluent_kafka.admin import AdminClient

from noskew.errors import StoreError, StoreUnavailableError
from noskew.stores.log.kafka.client import NO_TOPIC, ignore, settings, translate, translated

#: How long a check waits for the broker: a reader must hear of its end meanwhile.
_CHECK_S = 5.0
#: A partition has just been made, or has changed its leader.
_PASSING = NO_TOPIC | {
    KafkaError._UNKNOWN_PARTITION,
    KafkaError.NOT_LEADER_FOR_PARTITION,
    KafkaError.LEADER_NOT_AVAILABLE,
    KafkaError.FENCED_LEADER_EPOCH,
    KafkaError.UNKNOWN_LEADER_EPOCH,
    KafkaError.OFFSET_NOT_AVAILABLE,
}
_RETRY_S = 0.05
#: What a broker says that gives topics no id.
_NO_ID = str(Uuid(0, 0))


class OpenedTopic:
    """The topic that a name meant when it was opened. Any thread may use it.

    Attributes
    ----------
    name
        Its name.
    identity
        See :attr:`noskew.stores.log.base.EventLog.identity`.
    count
        How many partitions it had when it was last seen.
    """

    def __init__(self, name: str, given: Mapping[str, object], timeout_s: float) -> None:
        self.name = name
        self._timeout_s = timeout_s
        config: dict[str, Any] = {**settings(given, {}, {}), "error_cb": ignore}
        with translated(name):
            admin = AdminClient(config)
            self._seen = monotonic()
            self._id, self.count = self._described(admin, timeout_s)
            cluster = admin.describe_cluster(request_timeout=timeout_s).result()
        self._admin: AdminClient | None = admin
        self.identity = identity_of(cluster.cluster_id, name, self._id)

    def check(self, within: float = 0.0) -> None:
        """Return if the name still means this topic, as seen at most ``within`` seconds ago.

        Raises StoreError if it means another one, StoreUnavailableError if it means none.
        """
        if monotonic() - self._seen >= within:
            self._look()

    def bounds(self, consumer: Consumer, partition: int) -> tuple[int, int]:
        """The first offset that is held, and the one after the last committed message.

        Raises what :meth:`check` does.
        """
        place = TopicPartition(self.name, partition)
        until = monotonic() + self._timeout_s
        while True:
            ends = None
            try:
                ends = consumer.get_watermark_offsets(place, timeout=self._timeout_s, cached=False)
            except KafkaException as error:
                if error.args[0].code() not in _PASSING or monotonic() > until:
                    raise translate(error.args[0], self.name) from error
            self.check()
            if ends is not None:
                return ends
            # The client hears of the new leader by itself; nothing tells us when.
            Event().wait(_RETRY_S)

    def close(self) -> None:
        """Let go of the connections; a second call does nothing."""
        self._admin = None

    def _look(self) -> None:
        admin, asked = self._admin, monotonic()
        if admin is None:
            raise StoreError(f"the log of the Kafka topic {self.name!r} is closed; open it again")
        try:
            id_, self.count = self._described(admin, min(self._timeout_s, _CHECK_S))
        except KafkaException as error:
            if error.args[0].code() in NO_TOPIC:
                raise StoreUnavailableError(
                    f"the Kafka topic {self.name!r} was removed since it was opened"
                ) from error
            raise translate(error.args[0], self.name) from error
        # A cluster under way to a version that gives ids may answer with or without one.
        if id_ != self._id and _NO_ID not in (id_, self._id):
            raise StoreError(
                f"the Kafka topic {self.name!r} was removed, and another one was made under its "
                f"name, since it was opened; open it again to use the new one"
            )
        self._seen = asked

    def _described(self, admin: AdminClient, timeout_s: float) -> tuple[str, int]:
        """The id that its cluster gave it, and the number of its partitions."""
        names = TopicCollection([self.name])
        asked = admin.describe_topics(names, request_timeout=timeout_s)
        described = asked[self.name].result()
        return str(described.topic_id), len(described.partitions)


def identity_of(cluster: str | None, name: str, topic_id: str) -> str:
    """The identity of a topic, by the ids of cluster and topic, and by its name."""
    parts = [cluster or "", name, "" if topic_id == _NO_ID else topic_id]
    return blake2b(msgspec.json.encode(parts), digest_size=16).hexdigest()

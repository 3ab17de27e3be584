"""A Kafka broker as its administrator sees it: topics made, grown, cut and removed."""

from __future__ import annotations

from itertools import count

from confluent_kafka import TopicPartition
from confluent_kafka.admin import AdminClient, NewPartitions, NewTopic

from noskew.testing.event_log import PARTITIONS
from tests.servers import wait_until

_LARGEST = 16 << 20
_numbers = count()


class Broker:
    """A broker as its administrator sees it."""

    def __init__(self, bootstrap: str) -> None:
        self.bootstrap = bootstrap
        self.config = {
            "bootstrap.servers": bootstrap,
            "message.max.bytes": _LARGEST,
            "fetch.wait.max.ms": 10,  # the state machine goes elsewhere often
            "log_level": 0,
        }
        self._admin = AdminClient({"bootstrap.servers": bootstrap, "log_level": 0})
        self._topics: list[str] = []

    def make(self, name: str = "", partitions: int = PARTITIONS, **config: str) -> str:
        """A new topic; its name."""
        topic = name or f"test-{next(_numbers)}-{id(self)}"
        settings = {"max.message.bytes": str(_LARGEST)}
        settings |= {key.replace("_", "."): value for key, value in config.items()}
        made = self._admin.create_topics([NewTopic(topic, partitions, 1, config=settings)])
        made[topic].result(30)
        self._topics.append(topic)
        self._await(topic, partitions)
        return topic

    def grow(self, topic: str, partitions: int) -> None:
        self._admin.create_partitions([NewPartitions(topic, partitions)])[topic].result(30)
        self._await(topic, partitions)

    def _await(self, topic: str, partitions: int) -> None:
        # The controller answers before the broker has heard of it.
        def is_there() -> bool:
            found = self._admin.list_topics(topic, timeout=30).topics[topic]
            return len(found.partitions) == partitions and all(
                p.leader >= 0 for p in found.partitions.values()
            )

        wait_until(is_there, f"the broker knows {topic}")

    def remove_before(self, topic: str, partition: int, offset: int) -> None:
        place = TopicPartition(topic, partition, offset)
        self._admin.delete_records([place])[place].result(30)

    def remove(self, topic: str) -> None:
        self._admin.delete_topics([topic])[topic].result(30)
        self._topics = [t for t in self._topics if t != topic]

        def is_gone() -> bool:
            return self._admin.list_topics(topic, timeout=30).topics[topic].error is not None

        wait_until(is_gone, f"the broker has heard that {topic} is gone")

    def close(self) -> None:
        for topic in list(self._topics):
            self.remove(topic)

"""KafkaLog: a topic of Apache Kafka, or of what speaks its protocol."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from threading import Lock

from noskew.errors import InputError, StoreError
from noskew.stores.log._kafka_client import (
    CONSUMER,
    PRODUCER,
    partition_count,
    query_bounds,
    settings,
    translate,
    translated,
)

# After the module that says which extra is missing.
from confluent_kafka import Consumer, KafkaError, KafkaException, Message, Producer  # isort: skip

from noskew.stores.log._kafka_reader import KafkaReader
from noskew.stores.log.base import EventLog

#: How long the broker may take to answer.
TIMEOUT_S = 30.0
_POLL_S = 1.0


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
    A topic that was deleted and made anew is told from the old one as long as it is shorter.

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
        with translated(topic):
            self._asking = Consumer({**settings(config, CONSUMER, {}), "error_cb": _ignore})
        try:
            self._count = partition_count(self._asking, topic, timeout_s)
        except BaseException:
            self.close()
            raise

    @property
    def partitions(self) -> int:
        with self._asking_lock:
            self._refuse_closed()
            self._count = partition_count(self._asking, self.topic, self._timeout_s)
        return self._count

    def append(self, partition: int, payloads: Sequence[bytes]) -> int:
        self._checked(partition)
        if not payloads:
            raise InputError("an append needs at least one message")
        # One at a time: a failed append is given up as a whole, with all that is on its way.
        with self._lock:
            self._refuse_closed()
            delivery = _Delivery(len(payloads))
            try:
                with translated(self.topic):
                    self._deliver(self._opened(), partition, payloads, delivery)
            except BaseException:
                self._give_up()
                raise
        # Told to be a repetition, so the broker did not say where it stands.
        return delivery.last if delivery.last >= 0 else self.bounds(partition)[1] - 1

    def bounds(self, partition: int) -> tuple[int, int]:
        self._checked(partition)
        with self._asking_lock:
            self._refuse_closed()
            return query_bounds(self._asking, self.topic, partition, self._timeout_s)

    def reader(self, offsets: Mapping[int, int]) -> KafkaReader:
        self._refuse_closed()
        made = KafkaReader(
            self.topic, self._config, self._checked,
            accept_create_time=self._accept_create_time, timeout_s=self._timeout_s,
        )  # fmt: skip
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

    def _opened(self) -> Producer:
        if self._producer is None:
            millis = int(self._timeout_s * 1_000)
            defaults = {"linger.ms": 0, "message.timeout.ms": millis}
            own = {**settings(self._config, PRODUCER, defaults), "error_cb": _ignore}
            self._producer = Producer(own)
        return self._producer

    def _give_up(self) -> None:
        """Drop the producer, and with it whatever it would still send."""
        producer, self._producer = self._producer, None
        if producer is not None:
            producer.purge()
            producer.flush(0)

    def _deliver(
        self, producer: Producer, partition: int, payloads: Sequence[bytes], delivery: _Delivery
    ) -> None:
        for payload in payloads:
            while delivery.error is None and not self._is_taken(
                producer, partition, payload, delivery
            ):
                producer.poll(_POLL_S)  # its buffer is full
        while delivery.missing and delivery.error is None:
            producer.poll(_POLL_S)
        if delivery.error is not None:
            raise translate(delivery.error, self.topic)

    def _is_taken(
        self, producer: Producer, partition: int, payload: bytes, delivery: _Delivery
    ) -> bool:
        try:
            producer.produce(self.topic, payload, partition=partition, on_delivery=delivery)
        except BufferError:
            return False
        except KafkaException as error:
            if error.args[0].code() != KafkaError._UNKNOWN_PARTITION:
                raise
            # It was added after this client asked for the topic: it is there, so ask again.
            producer.list_topics(self.topic, timeout=self._timeout_s)
            producer.produce(self.topic, payload, partition=partition, on_delivery=delivery)
        return True

    def _checked(self, partition: int) -> int:
        self._refuse_closed()
        # Partitions may have been added since.
        if not (0 <= partition < self._count or 0 <= partition < self.partitions):
            raise InputError(
                f"the Kafka topic {self.topic!r} has partitions 0 to {self._count - 1}, "
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


def _ignore(error: KafkaError) -> None:
    """Calls report what concerns them; the client would print the rest."""

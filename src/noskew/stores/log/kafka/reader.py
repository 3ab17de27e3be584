"""Reads a Kafka topic by explicit offsets."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from itertools import chain
from time import monotonic

import numpy as np
import pyarrow as pa
from confluent_kafka import (
    TIMESTAMP_LOG_APPEND_TIME,
    TIMESTAMP_NOT_AVAILABLE,
    Consumer,
    KafkaError,
    KafkaException,
    Message,
    TopicPartition,
)

from noskew.errors import InputError, OffsetLostError, StoreConfigError, StoreError
from noskew.stores.log.base import READ_BYTES, LogReader, Messages, check_offset
from noskew.stores.log.kafka.client import (
    CONSUMER,
    NO_TOPIC,
    settings,
    translate,
    translated,
)
from noskew.stores.log.kafka.topic import OpenedTopic

#: So many messages are taken from the client at a time: few enough that its objects are still in
#: the processor's cache when they become columns, and that Python's collector, which goes over
#: the young objects whenever there are 700 more, finds no reason to (1,000 take 1.2 times as
#: much of a processor, 20,000 take 1.7 times as much).
_CHUNK = 500
_DEFAULTS: Mapping[str, object] = {
    # Enough to keep a reader busy, and little enough to hold in memory for each reader.
    "queued.max.messages.kbytes": 32 << 10,
    "queued.min.messages": 200_000,
    "fetch.message.max.bytes": 4 << 20,
    # Until the client fetches on after it had enough; its default of 1 s leaves a reader waiting.
    "fetch.queue.backoff.ms": 5,
    # How long the broker holds a request that finds nothing. An idle reader hears of a new
    # message at once, whatever this is; but one that begins to read another partition, or
    # elsewhere, is heard only after it.
    "fetch.wait.max.ms": 100,
}
_MICROS_PER_MILLI = 1_000
#: More messages than a partition can be given in a second.
_FASTEST = 10_000_000
#: A waiting reader hears of the end of its topic after so many seconds.
_CHECK_EVERY_S = 1.0
_LOST = {KafkaError._AUTO_OFFSET_RESET, KafkaError.OFFSET_OUT_OF_RANGE, KafkaError._LOG_TRUNCATION}


class KafkaReader(LogReader):
    """Reads a :class:`noskew.stores.log.kafka.KafkaLog`.

    A paused partition is one that the client does not have, while its place is kept here: so
    nothing rests on what the client does with messages that it had fetched ahead.
    """

    def __init__(
        self,
        opened: OpenedTopic,
        given: Mapping[str, object],
        check_partition: Callable[[int], int],
        *,
        accept_create_time: bool,
    ) -> None:
        self._opened, self._topic = opened, opened.name
        self._check_partition = check_partition
        self._accept_create_time = accept_create_time
        self._places: dict[int, int] = {}
        self._paused: set[int] = set()
        self._lost: dict[int, KafkaError] = {}
        self._fault: KafkaError | None = None
        self._is_closed = False
        with translated(self._topic):
            self._consumer = Consumer(
                {**settings(given, CONSUMER, _DEFAULTS), "error_cb": self._note}
            )

    def poll(self, timeout: float) -> list[Messages]:
        self._refuse_closed()
        until = monotonic() + timeout
        wait = 0.0  # first, what has been fetched already
        while True:
            self._raise_lost()
            portions = self._read(wait)
            if portions:
                return portions
            left = until - monotonic()
            if left <= 0.0:
                break
            if self._fault is None:  # else there is nobody to ask
                self._opened.check(_CHECK_EVERY_S)
            wait = min(left, _CHECK_EVERY_S)
        self._raise_lost()
        fault, self._fault = self._fault, None
        if fault is not None:
            raise translate(fault, self._topic)
        self._opened.check(_CHECK_EVERY_S)
        return []

    def assign(self, partition: int, offset: int) -> None:
        self._refuse_closed()
        self._check_partition(partition)
        check_offset(self._name, partition, offset, self._opened.bounds(self._consumer, partition))
        self.drop(partition)
        self._start(partition, offset)
        self._places[partition] = offset

    def drop(self, partition: int) -> None:
        if partition in self._places:
            self._stop(partition)
            del self._places[partition]
            self._lost.pop(partition, None)
            self._paused.discard(partition)

    def pause(self, partition: int) -> None:
        self._refuse_unread(partition)
        self._stop(partition)
        self._paused.add(partition)

    def resume(self, partition: int) -> None:
        self._refuse_unread(partition)
        if partition in self._paused:
            self._start(partition, self._places[partition])
            self._paused.discard(partition)

    def close(self) -> None:
        if not self._is_closed:
            self._is_closed = True
            self._consumer.close()

    @property
    def _name(self) -> str:
        return f"the Kafka topic {self._topic!r}"

    def _start(self, partition: int, offset: int) -> None:
        with translated(self._topic):
            self._consumer.incremental_assign([TopicPartition(self._topic, partition, offset)])

    def _stop(self, partition: int) -> None:
        if partition not in self._paused:
            with translated(self._topic):
                self._consumer.incremental_unassign([TopicPartition(self._topic, partition)])

    def _read(self, timeout: float) -> list[Messages]:
        """What has been fetched; if nothing, what comes first within the time."""
        parts: dict[int, list[Messages]] = {}
        with translated(self._topic):
            polled = self._consume(timeout)
        size = 0
        while polled:
            size += self._take(polled, parts)
            if len(polled) < _CHUNK or size >= READ_BYTES:
                break
            polled.clear()  # before the next are made, which take the same memory
            try:
                polled = self._consumer.consume(_CHUNK, 0.0)
            except KafkaException as error:
                self._note(error.args[0])
                break  # what was taken must be given out
        batches = [_joined(of_one) for of_one in parts.values()]
        self._refuse_another(parts)
        self._places |= {messages.partition: messages.next_offset for messages in batches}
        return batches

    def _refuse_another(self, partitions: Collection[int]) -> None:
        """Raise StoreError if what was read of some partitions may be another topic's.

        One that was made in the place of ours begins at offset 0. Until it can have got as far
        as we are, however fast it is filled, what is read is ours.
        """
        if not partitions:
            return
        first = min(self._places[p] for p in partitions)
        try:
            self._opened.check(min(first / _FASTEST, _CHECK_EVERY_S))
        except StoreError:
            for partition in partitions:  # the broker may only be away: then read it again
                self._stop(partition)
                self._start(partition, self._places[partition])
                self._lost.pop(partition, None)
            raise

    def _consume(self, timeout: float) -> list[Message]:
        if timeout <= 0:
            return self._consumer.consume(_CHUNK, 0.0)
        # To consume several would wait for all of them.
        first = self._consumer.poll(timeout)
        return [] if first is None else [first, *self._consumer.consume(_CHUNK - 1, 0.0)]

    def _take(self, polled: list[Message], parts: dict[int, list[Messages]]) -> int:
        """Add what was polled to ``parts``; returns the bytes of it."""
        events = [m for m in polled if m.error() is not None]
        if events:
            polled = [m for m in polled if m.error() is None]
        partitions = list(map(Message.partition, polled))
        present = dict.fromkeys(partitions)
        size = 0
        for partition in present:
            if partition not in self._places:
                continue  # fetched before it was dropped
            mine = polled
            if len(present) > 1:
                mine = [m for m, p in zip(polled, partitions, strict=True) if p == partition]
            columns = self._columns(partition, mine)
            parts.setdefault(partition, []).append(columns)
            size += columns.payloads.nbytes
        for event in events:
            self._serve(event, parts)
        return size

    def _columns(self, partition: int, polled: list[Message]) -> Messages:
        n = len(polled)
        stamps = np.fromiter(chain.from_iterable(map(Message.timestamp, polled)), np.int64, 2 * n)
        kinds, millis = stamps[::2], stamps[1::2]
        if self._accept_create_time:
            is_refused = kinds == TIMESTAMP_NOT_AVAILABLE
        else:
            is_refused = kinds != TIMESTAMP_LOG_APPEND_TIME
        if is_refused.any():
            raise StoreConfigError(
                f"{self._name} keeps the producers' times, not those of its appends; set "
                f"message.timestamp.type=LogAppendTime for it, or accept_create_time=True if "
                f"every producer's clock is to be believed"
            )
        offsets = np.fromiter(map(Message.offset, polled), np.int64, n)
        payloads = pa.array(list(map(Message.value, polled)), pa.large_binary())
        times = millis * _MICROS_PER_MILLI
        return Messages(partition, offsets, times, payloads, int(offsets[-1]) + 1)

    def _serve(self, event: Message, parts: dict[int, list[Messages]]) -> None:
        """Take in what is no message: the end of a partition, or an error."""
        error, partition, offset = event.error(), event.partition(), event.offset()
        assert error is not None
        if error.code() == KafkaError._PARTITION_EOF:
            # Marks of transactions, and messages of aborted ones, have offsets too.
            if partition in self._places and offset is not None:
                before = parts.get(partition)
                place = before[-1].next_offset if before else self._places[partition]
                if offset > place:
                    parts.setdefault(partition, []).append(_nothing(partition, offset))
        elif error.code() in _LOST | NO_TOPIC and partition in self._places:
            self._lost[partition] = error  # for the next poll: this one gives out what came before
        else:
            self._note(error)

    def _raise_lost(self) -> None:
        for partition, error in self._lost.items():
            if partition in self._paused:
                continue
            offset = self._places[partition]
            begin, end = self._opened.bounds(self._consumer, partition)
            check_offset(self._name, partition, offset, (begin, end))
            raise OffsetLostError(
                f"{self._name}, partition {partition}: it no longer holds what was read up to "
                f"{offset} ({error.str()}); it was emptied, replaced or cut since",
                partition=partition,
                offset=offset,
                begin=begin,
                end=end,
            )

    def _note(self, error: KafkaError) -> None:
        """Keep an error for a poll that ends in vain; one broker of several may come back."""
        if error.code() != KafkaError._TRANSPORT:
            self._fault = error

    def _refuse_closed(self) -> None:
        if self._is_closed:
            raise StoreError(f"this reader of {self._name} is closed")

    def _refuse_unread(self, partition: int) -> None:
        if partition not in self._places:
            raise InputError(
                f"partition {partition} is not read; those that are: {sorted(self._places)}"
            )


def _nothing(partition: int, next_offset: int) -> Messages:
    none = np.zeros(0, np.int64)
    return Messages(partition, none, none, pa.array([], pa.large_binary()), next_offset)


def _joined(parts: list[Messages]) -> Messages:
    if len(parts) == 1:
        return parts[0]
    return Messages(
        parts[0].partition,
        np.concatenate([p.offsets for p in parts]),
        np.concatenate([p.append_times for p in parts]),
        pa.concat_arrays([p.payloads for p in parts]),
        parts[-1].next_offset,
    )

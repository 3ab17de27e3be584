from __future__ import annotations

import functools
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from random import randbytes
from threading import Event, Thread
from time import monotonic
from uuid import uuid4

import pytest
from confluent_kafka import Producer

from noskew.errors import (
    ConfigError,
    LimitError,
    OffsetLostError,
    StoreConfigError,
    StoreError,
    StoreUnavailableError,
)
from noskew.stores.log.base import LogReader, Messages
from noskew.stores.log.kafka import KafkaLog
from noskew.stores.log.kafka.topic import identity_of
from noskew.testing.event_log import (
    EventLogTests,
    assert_lost,
    payloads_of,
    read_all,
    wait_for_messages,
)
from tests import chaos
from tests.kafka_admin import Broker
from tests.kafka_server import KafkaServer
from tests.kafka_server import kafka_server as own_broker
from tests.servers import free_port


@pytest.mark.conformance
class TestKafkaLog(EventLogTests):
    @pytest.fixture
    def log(self, broker: Broker) -> Iterator[KafkaLog]:
        with KafkaLog(broker.make(), broker.config) as log:
            yield log

    def opener(self, log):
        return functools.partial(KafkaLog, log.topic, log._config)

    def remove_before(self, log, partition, offset):
        Broker(log._config["bootstrap.servers"]).remove_before(log.topic, partition, offset)

    def remake(self, log):
        admin = Broker(log._config["bootstrap.servers"])
        admin.remove(log.topic)
        admin.make(log.topic)
        return KafkaLog(log.topic, log._config)


class TestTopic:
    def test_one_that_is_not_there_is_refused(self, broker):
        with pytest.raises(StoreConfigError, match="create it"):
            KafkaLog("absent", broker.config)

    def test_added_partitions_are_seen(self, broker):
        topic = broker.make(partitions=1)
        with KafkaLog(topic, broker.config) as log:
            assert log.partitions == 1
            log.append(0, [b"known to the producer"])
            broker.grow(topic, 3)
            log.append(2, [b"a"])
            assert log.partitions == 3
            assert [m.payload for m in read_all(log, 2)] == [b"a"]

    def test_an_offset_beyond_a_topic_that_was_made_anew_is_lost(self, broker):
        topic = broker.make()
        with KafkaLog(topic, broker.config) as log:
            log.append(0, [b"old"] * 10)
        broker.remove(topic)
        broker.make(topic)
        with KafkaLog(topic, broker.config) as log:
            log.append(0, [b"new"] * 3)
            with pytest.raises(OffsetLostError, match="emptied or replaced") as caught:
                log.reader({0: 10})
            assert_lost(caught.value, 0, 10, (0, 3))

    def test_a_topic_that_was_removed_is_noticed(self, broker):
        topic = broker.make()
        with KafkaLog(topic, broker.config) as log, log.reader({0: 0}) as reader:
            broker.remove(topic)
            with pytest.raises(StoreUnavailableError, match="was removed"):
                log.bounds(0)
            with pytest.raises(StoreUnavailableError, match="was removed"):
                poll_on(reader)

    def test_an_append_hears_that_another_topic_has_the_name(self, broker):
        topic = broker.make()
        with KafkaLog(topic, broker.config) as log:
            log.append(0, [b"old"])
            broker.remove(topic)
            broker.make(topic)
            with pytest.raises(StoreError, match="open it again") as caught:
                append_on(log)
            assert not caught.value.retryable
            with KafkaLog(topic, broker.config) as new:
                assert new.append(0, [b"new"]) == new.bounds(0)[1] - 1

    def test_without_ids_a_topic_is_known_by_its_name(self):
        """Brokers before 2.8 give topics none; none of that age runs here."""
        none = "A" * 22
        assert identity_of("cluster", "a", none) == identity_of("cluster", "a", none)
        assert identity_of("cluster", "a", none) != identity_of("cluster", "b", none)
        assert identity_of("cluster", "a", none) != identity_of("other", "a", none)
        assert identity_of("cluster", "a", none) != identity_of("cluster", "a", "e7bYORuBSOm5DS")
        assert len(identity_of(None, "a", none)) == 32

    def test_times_that_producers_chose_are_refused(self, broker):
        topic = broker.make(message_timestamp_type="CreateTime")
        with KafkaLog(topic, broker.config) as log:
            log.append(0, [b"a"])
            with (
                log.reader({0: 0}) as reader,
                pytest.raises(StoreConfigError, match="LogAppendTime"),
            ):
                wait_for_messages(reader)
        with KafkaLog(topic, broker.config, accept_create_time=True) as log:
            assert [m.payload for m in read_all(log, 0)] == [b"a"]

    def test_a_message_without_content_is_null(self, broker):
        with KafkaLog(broker.make(), broker.config) as log:
            producer = Producer({"bootstrap.servers": broker.bootstrap})
            producer.produce(log.topic, None, partition=0)
            producer.produce(log.topic, b"", partition=0)
            producer.flush()
            assert [m.payload for m in read_all(log, 0)] == [None, b""]


class TestTransactions:
    @pytest.fixture
    def log(self, broker: Broker) -> Iterator[KafkaLog]:
        with KafkaLog(broker.make(), broker.config) as log:
            yield log

    @pytest.fixture
    def producer(self, broker: Broker) -> Producer:
        made = Producer(
            {
                "bootstrap.servers": broker.bootstrap,
                "transactional.id": f"t-{uuid4()}",
            }
        )
        made.init_transactions(30)
        return made

    def test_only_committed_messages_are_given_out(self, log, producer):
        for payload, end in ((b"a", "commit"), (b"b", "abort"), (b"c", "commit")):
            producer.begin_transaction()
            producer.produce(log.topic, payload, partition=0)
            producer.flush()
            (producer.commit_transaction if end == "commit" else producer.abort_transaction)(30)
        found = read_all(log, 0)
        assert [m.payload for m in found] == [b"a", b"c"]
        assert [m.offset for m in found] == [0, 4], "marks have offsets of their own"
        assert log.bounds(0) == (0, 6)

    def test_an_open_transaction_holds_back_what_follows(self, log, producer):
        log.append(0, [b"before"])
        producer.begin_transaction()
        producer.produce(log.topic, b"open", partition=0)
        producer.flush()
        log.append(0, [b"after"])
        assert log.bounds(0) == (0, 1)
        with log.reader({0: 0}) as reader:
            assert payloads_of(wait_for_messages(reader)) == [b"before"]
            assert reader.poll(0.1) == []
            producer.commit_transaction(30)
            assert payloads_of(wait_for_messages(reader, 2)) == [b"open", b"after"]
            assert log.bounds(0) == (0, 4)


class TestSettings:
    @pytest.mark.parametrize(
        "given",
        [{"acks": "1"}, {"auto.offset.reset": "earliest"}, {"isolation.level": "read_uncommitted"}],
    )
    def test_what_would_lose_messages_is_refused(self, given):
        with pytest.raises(ConfigError, match=next(iter(given))):
            KafkaLog("t", {"bootstrap.servers": "127.0.0.1:1", **given})

    def test_an_unknown_one_is_refused(self):
        with pytest.raises(ConfigError, match=r"bootstrap\.server"):
            KafkaLog("t", {"bootstrap.server": "127.0.0.1:1"})

    def test_those_of_both_sides_are_taken(self, broker, capfd):
        both = {"linger.ms": 5, "fetch.min.bytes": 1, "compression.type": "lz4", "acks": -1}
        with KafkaLog(broker.make(), broker.config | both) as log:
            log.append(0, [b"a" * 1_000] * 100)
            assert len(read_all(log, 0)) == 100
        assert "CONFWARN" not in capfd.readouterr().err

    def test_the_extra_is_named_when_it_is_missing(self):
        code = (
            "import sys; sys.modules['confluent_kafka'] = None\n"
            "from noskew.errors import MissingExtraError\n"
            "try:\n    import noskew.stores.log.kafka\n"
            "except MissingExtraError as error:\n    print(error)\n"
        )
        done = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=False
        )
        assert "pip install 'noskew[kafka]'" in done.stdout, done.stderr


class TestFailure:
    def test_a_broker_that_is_not_there(self):
        config = {"bootstrap.servers": f"127.0.0.1:{free_port()}", "log_level": 0}
        with pytest.raises(StoreUnavailableError):
            KafkaLog("t", config, timeout_s=0.5)

    def test_a_message_that_is_too_large(self, broker):
        config = broker.config | {"message.max.bytes": 1_000_000}
        with KafkaLog(broker.make(), config) as log:
            with pytest.raises(LimitError, match=r"max\.message\.bytes") as caught:
                log.append(0, [b"before", bytes(2_000_000), b"behind"])
            fits = int(re.search(r"at most (\d+) fit", str(caught.value))[1])
            with pytest.raises(LimitError):
                log.append(0, [bytes(fits + 1)])
            log.append(0, [b"after", bytes(fits)])
            assert [m.payload for m in read_all(log, 0)] == [b"after", bytes(fits)]

    def test_a_message_that_the_topic_refuses(self, broker):
        with KafkaLog(broker.make(max_message_bytes="1000"), broker.config) as log:
            with pytest.raises(LimitError, match=r"max\.message\.bytes"):
                log.append(0, [randbytes(10_000)])
            assert log.append(0, [b"after"]) == 0

    def test_a_buffer_that_is_full_is_waited_for(self, broker):
        small = {"queue.buffering.max.messages": 7, "queue.buffering.max.kbytes": 40}
        payloads = [b"%d" % number * 1_000 for number in range(100)]
        with KafkaLog(broker.make(), broker.config | small) as log:
            assert log.append(0, payloads) == 99
            with pytest.raises(StoreUnavailableError, match="full"):
                log.append(0, [bytes(50_000)])
            log.append(0, [b"after"])
            assert [m.payload for m in read_all(log, 0)] == [*payloads, b"after"]

    def test_a_broker_that_answers_no_more(self, kafka_server):
        broker = Broker(kafka_server.bootstrap)
        with KafkaLog(broker.make(), broker.config) as patient:
            patient.append(0, [b"a"])
        with KafkaLog(patient.topic, broker.config, timeout_s=2.0) as log:
            kafka_server.signal(signal.SIGSTOP)
            try:
                with pytest.raises(StoreUnavailableError):
                    log.append(0, [b"b"])
                with pytest.raises(StoreUnavailableError):
                    log.bounds(0)
            finally:
                kafka_server.signal(signal.SIGCONT)
        with KafkaLog(log.topic, broker.config) as log:
            log.append(0, [b"c"])
            found = [m.payload for m in read_all(log, 0)]
            assert found in ([b"a", b"c"], [b"a", b"b", b"c"])
        broker.close()

    def test_a_reader_goes_on_when_the_broker_is_back(self):
        with own_broker() as server:
            broker = Broker(server.bootstrap)
            with KafkaLog(broker.make(), broker.config) as log, log.reader({0: 0}) as reader:
                log.append(0, [b"before"])
                assert payloads_of(wait_for_messages(reader)) == [b"before"]
                server.stop()
                with pytest.raises(StoreUnavailableError):
                    poll_on(reader)
                server.start()
                log.append(0, [b"after"])
                assert payloads_of(wait_for_messages(reader)) == [b"after"]


class TestKilledBroker:
    """Killed at once, and started again on the same port and data, while it is used."""

    @pytest.mark.chaos
    @pytest.mark.parametrize("timeout_s", [1.0, 120.0])
    def test_nothing_is_lost_or_read_twice(self, timeout_s):
        with own_broker() as server:
            broker = Broker(server.bootstrap)
            with (
                KafkaLog(broker.make(), broker.config, timeout_s=timeout_s) as log,
                log.reader({0: 0}) as reader,
                Appending(log) as appending,
            ):
                found: list[bytes | None] = []
                for _ in range(chaos.times(1, 5)):
                    read_while(reader, found, appending.is_behind(len(appending.done) + 20))
                    restart = Thread(target=restart_killed, args=(server,))
                    restart.start()
                    read_while(reader, found, restart.is_alive)
                read_while(reader, found, appending.is_behind(len(appending.done) + 20))
                appending.stop()
                end = log.bounds(0)[1]
                read_while(reader, found, lambda: len(found) < end)
                assert [m.payload for m in read_all(log, 0)] == found
                chaos.note(
                    "kill -9 of a Kafka broker that is written to",
                    faults=chaos.times(1, 5),
                    traces=chaos.times(1, 5),
                    compared=len(found),
                )
                for last, payloads in appending.done:
                    assert found[last + 1 - len(payloads) : last + 1] == payloads
                if timeout_s > 60:  # it outlives the restart: no append has to be repeated
                    assert appending.repeated == 0
                    assert found == [p for _, payloads in appending.done for p in payloads]
                else:
                    assert appending.repeated > 0


class Appending:
    """Appends portion after portion by a thread, each again until it is acknowledged."""

    def __init__(self, log: KafkaLog) -> None:
        self.done: list[tuple[int, list[bytes]]] = []
        self.repeated = 0
        self._log, self._stop = log, Event()
        self._thread = Thread(target=self._work)

    def __enter__(self) -> Appending:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        self._stop.set()
        self._thread.join()

    def is_behind(self, count: int) -> Callable[[], bool]:
        return lambda: len(self.done) < count

    def _work(self) -> None:
        while not self._stop.is_set():
            payloads = [b"%d/%d" % (len(self.done), at) for at in range(50)]
            try:
                self.done.append((self._log.append(0, payloads), payloads))
            except StoreUnavailableError:
                self.repeated += 1


def read_while(reader: LogReader, found: list[bytes | None], is_wanted: Callable[[], bool]) -> None:
    """Take what comes, whatever becomes of the broker; each offset comes in its turn."""
    until = monotonic() + 120
    while is_wanted():
        assert monotonic() < until
        try:
            polled = reader.poll(0.1)
        except StoreUnavailableError:
            continue
        for messages in polled:
            assert messages.offsets.tolist() == list(range(len(found), len(found) + len(messages)))
            found += messages.payloads.to_pylist()


def restart_killed(server: KafkaServer) -> None:
    server.stop(signal.SIGKILL)
    server.start()


def append_on(log):
    """Append until that is refused."""
    until = monotonic() + 60
    while monotonic() < until:
        log.append(0, [b"x"])


def poll_on(reader):
    """What comes first, however often a poll is in vain."""
    found: list[Messages] = []
    while not found:
        found = reader.poll(0.2)
    return found

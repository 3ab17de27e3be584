from __future__ import annotations

import functools
import signal
import subprocess
import sys
from collections.abc import Iterator
from uuid import uuid4

import pytest
from confluent_kafka import Producer

from noskew.errors import (
    ConfigError,
    LimitError,
    OffsetLostError,
    StoreConfigError,
    StoreUnavailableError,
)
from noskew.stores.log.base import Messages
from noskew.stores.log.kafka import KafkaLog
from noskew.testing.event_log import (
    EventLogTests,
    assert_lost,
    payloads_of,
    read_all,
    wait_for_messages,
)
from tests.kafka_admin import Broker
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

    def test_a_topic_that_was_replaced_is_not_the_same_log(self, broker):
        topic = broker.make()
        with KafkaLog(topic, broker.config) as log:
            log.append(0, [b"old"] * 10)
            reader = log.reader({0: 10})
        broker.remove(topic)
        broker.make(topic)
        with reader, KafkaLog(topic, broker.config) as log:
            log.append(0, [b"new"] * 3)
            with pytest.raises(OffsetLostError, match="emptied or replaced") as caught:
                log.reader({0: 10})
            assert_lost(caught.value, 0, 10, (0, 3))
            with pytest.raises(OffsetLostError) as caught:
                wait_for_messages(reader)
            assert (caught.value.partition, caught.value.offset) == (0, 10)

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
            with pytest.raises(LimitError, match=r"max\.message\.bytes"):
                log.append(0, [b"fits", bytes(2_000_000)])
            log.append(0, [b"after"])
            found = [m.payload for m in read_all(log, 0)]
            assert found in ([b"after"], [b"fits", b"after"])
        with (
            KafkaLog(broker.make(max_message_bytes="1000"), broker.config) as log,
            pytest.raises(LimitError),
        ):
            log.append(0, [bytes(10_000)])

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


def poll_on(reader):
    """What comes first, however often a poll is in vain."""
    found: list[Messages] = []
    while not found:
        found = reader.poll(0.2)
    return found

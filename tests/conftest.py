"""Fixtures for the whole test suite.

A server is started when the first test of a process asks for it, and shared by the tests of that
process: each worker of pytest-xdist has its own. A test clears what it needs empty.
"""

from __future__ import annotations

import gc
import multiprocessing
import os
import sys
import uuid
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from noskew.runners.spark.session import make_session
from tests import dynamodb_server as dynamodb
from tests import hypothesis_profiles, scheduling, servers
from tests import kafka_server as kafka
from tests.kafka_admin import Broker

if TYPE_CHECKING:
    from pyspark.sql import SparkSession
    from xdist.remote import Producer

hypothesis_profiles.load()
# What the process imports from which others are forked (``noskew.testing.processes``).
multiprocessing.set_forkserver_preload(["tests.preloaded"])


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Iterator[None]:
    """Without looking for garbage among what stays to the end: each test would pay for that."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.collect()
        gc.freeze()
        gc.enable()


def pytest_sessionfinish() -> None:
    """Let the interpreter clear away everything at its end; what it cannot, nanobind reports."""
    gc.unfreeze()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Those that take long first; it does not change what pytest-randomly did within a unit."""
    items.sort(key=lambda item: scheduling.place_of(item.nodeid))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> scheduling.ByServer:
    """Tests that share a server run in one worker."""
    return scheduling.ByServer(config, log)


@pytest.fixture(scope="session")
def redis_server() -> Iterator[servers.RedisServer]:
    """A Redis that must not be stopped; for that, start another with ``servers.redis_server``."""
    with servers.redis_server() as server:
        yield server


@pytest.fixture(scope="session")
def dynamodb_server() -> Iterator[dynamodb.DynamoDbServer]:
    """A DynamoDB that must not be stopped. Each test makes a table of its own."""
    with dynamodb.dynamodb_server() as server:
        yield server


@pytest.fixture
def dynamodb_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    """What boto3 finds, in this process and in those it starts."""
    for name, value in dynamodb.CREDENTIALS.items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def dynamodb_url(dynamodb_server: dynamodb.DynamoDbServer, dynamodb_credentials: None) -> str:
    """The address of an empty table."""
    from noskew.stores.online.dynamodb import create_table  # boto3 takes long to import

    url = dynamodb_server.url(f"rows-{uuid.uuid4().hex}")
    create_table(url)
    return url


@pytest.fixture(scope="session")
def redis_url(redis_server: servers.RedisServer) -> str:
    """The address of a Redis."""
    return redis_server.url


@pytest.fixture(scope="session")
def redis_cluster() -> Iterator[servers.RedisCluster]:
    """A Redis Cluster of three primaries."""
    with servers.redis_cluster() as cluster:
        yield cluster


@pytest.fixture(scope="session")
def redis_cluster_url(redis_cluster: servers.RedisCluster) -> str:
    """The address of one node of a Redis Cluster."""
    return redis_cluster.url


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """The address, of scheme ``postgresql``, of a PostgreSQL superuser without a password."""
    with servers.postgres_server() as server:
        yield server.url


@pytest.fixture(scope="session")
def kafka_server() -> Iterator[kafka.KafkaServer]:
    """A Kafka broker of this process; for one that may run elsewhere, take its address."""
    with kafka.kafka_server() as server:
        yield server


@pytest.fixture(scope="session")
def kafka_bootstrap(request: pytest.FixtureRequest) -> str:
    """The address of a Kafka broker: one that runs already, if the environment names it."""
    given = os.environ.get(kafka.VARIABLE)
    if given:
        return given
    server: kafka.KafkaServer = request.getfixturevalue("kafka_server")
    return server.bootstrap


@pytest.fixture
def broker(kafka_bootstrap: str) -> Iterator[Broker]:
    """The administrator of a Kafka broker; the topics of a test go with it."""
    made = Broker(kafka_bootstrap)
    yield made
    made.close()


@pytest.fixture(scope="session")
def spark_session() -> Iterator[SparkSession]:
    """A Spark session as users have them: of another time zone, with batches of few rows.

    A process can have one Spark only, so whoever needs other settings changes them for a while.
    """
    from tests.spark_cluster import JAVA  # it imports pyspark

    servers.binary("java", "openjdk-17-jre-headless")
    made = make_session(
        "local[2]",
        {
            "spark.sql.session.timeZone": "America/New_York",
            "spark.sql.execution.arrow.maxRecordsPerBatch": "150",
            "spark.driver.extraJavaOptions": JAVA,
        },
    )
    yield made
    made.stop()


@pytest.fixture(autouse=True)
def _own_import_path() -> Iterator[None]:
    """Projects put themselves on ``sys.path`` and import ``features``; other tests must not see."""
    before = list(sys.path)
    yield
    sys.path[:] = before
    for name in [n for n in sys.modules if n == "features" or n.startswith("features.")]:
        del sys.modules[name]

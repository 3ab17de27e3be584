"""Fixtures for the whole test suite.

A server is started when the first test of a process asks for it, and shared by the tests of that
process: each worker of pytest-xdist has its own. A test clears what it needs empty.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests import hypothesis_profiles, servers

hypothesis_profiles.load()


@pytest.fixture(scope="session")
def redis_server() -> Iterator[servers.RedisServer]:
    """A Redis that must not be stopped; for that, start another with ``servers.redis_server``."""
    with servers.redis_server() as server:
        yield server


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

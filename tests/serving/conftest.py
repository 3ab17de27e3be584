"""One server for the tests that only ask."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import pytest

import noskew as ns
from noskew.clock import to_micros
from tests.serving import shop
from tests.serving.feature_server import FeatureServer, running, write_config


class Served(NamedTuple):
    """A store in this process, and a server on the same data as of the same time."""

    store: ns.FeatureStore
    server: FeatureServer

    @property
    def url(self) -> str:
        return self.server.url


@pytest.fixture(scope="session")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    root = tmp_path_factory.mktemp("shop")
    write_config(root, sections=["[serve]", "max_body_bytes = 2000000"])
    with pytest.MonkeyPatch.context() as patch:
        judged = shop.judged_service(root, patch)
        services = (shop.EVERYTHING, shop.PLAIN, shop.PLACES, judged)
        with shop.filled(root, *services) as store, running(root, at=to_micros(shop.NOW)) as server:
            yield Served(store, server)

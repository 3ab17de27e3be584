"""Stores of somebody else, opened by what an installed distribution says of itself."""

from __future__ import annotations

import subprocess
import sys

import pyarrow as pa
import pytest

from noskew.clock import SystemClock
from noskew.errors import ConfigError, MissingExtraError
from noskew.stores.log import open_log
from noskew.stores.offline.opening import open_offline_store
from noskew.stores.online import open_store
from noskew.stores.sources import open_source
from tests.distributions import install

CODE = """
from noskew.errors import missing_extra
from noskew.stores.log.local import LocalLog
from noskew.stores.offline import IcebergStore
from noskew.stores.online.memory import MemoryStore
from noskew.stores.sources import FrameSource

class Noted(MemoryStore):
    pass

def open_online(address):
    store = Noted()
    size = address.only("size").whole("size", 1, "rows")
    store.opened_as = (size, address.place, address.readonly)
    return store

def open_log(options, *, directory, clock):
    return LocalLog(directory / options["name"], partitions=2, clock=clock)

def open_offline(catalog, warehouse, *, namespace, properties):
    return IcebergStore("sqlite" + catalog.removeprefix("shelf"), warehouse, namespace=namespace)

def open_source(*, rows):
    import pyarrow as pa
    return FrameSource(pa.table({"x": rows}))

def lacks_a_library(address):
    raise missing_extra("shelflib", "shelf", "a shelf")

not_callable = 7
"""
ENTRY_POINTS = """
[noskew.online_stores]
shelf = shelf_store:open_online
lmdb = shelf_store:open_online
broken = shelf_store:absent
unimportable = no_such_module:open_online
number = shelf_store:not_callable
lacking = shelf_store:lacks_a_library

[noskew.logs]
shelf = shelf_store:open_log

[noskew.offline_stores]
shelf = shelf_store:open_offline

[noskew.sources]
shelf = shelf_store:open_source
"""


@pytest.fixture
def site(tmp_path, monkeypatch):
    """A directory on the path with a distribution that opens ``shelf`` of every kind."""
    site = tmp_path / "site"
    site.mkdir()
    install(site, "shelf", ENTRY_POINTS, CODE)
    monkeypatch.syspath_prepend(str(site))
    yield site
    sys.modules.pop("shelf_store", None)


@pytest.mark.usefixtures("site")
class TestInstalled:
    def test_an_online_store(self):
        with open_store("shelf://top/left?size=3", readonly=True) as store:
            assert type(store).__module__ == "shelf_store"
            assert store.opened_as == (3, "top/left", True)
        with pytest.raises(ConfigError, match="Did you mean 'size'"):
            open_store("shelf://top?sizes=3")

    def test_a_log(self, tmp_path):
        with open_log(
            "shelf", {"name": "x"}, directory=tmp_path / "logs", clock=SystemClock()
        ) as log:
            assert log.partitions == 2
        assert (tmp_path / "logs" / "x").is_dir()

    def test_an_offline_store(self, tmp_path):
        store = open_offline_store(f"shelf:///{tmp_path}/c.db", str(tmp_path / "w"), namespace="n")
        assert store.tables() == []
        store.close()

    def test_a_batch_source(self):
        source = open_source("shelf", {"rows": [1, 2]})
        assert source.schema() == pa.schema([("x", pa.int64())])

    def test_ours_cannot_be_taken_over(self, tmp_path):
        with open_store(f"lmdb://{tmp_path}/online") as store:
            assert store.embedded_at is not None

    def test_names_of_both_are_offered(self):
        with pytest.raises(ConfigError, match=r"Did you mean 'shelf'"):
            open_store("shelv://x")

    @pytest.mark.parametrize(
        ("scheme", "message"),
        [
            ("broken", r"'shelf_store:absent' of shelf-store, which cannot be loaded"),
            ("unimportable", r"'no_such_module:open_online' of shelf-store.*No module"),
            ("number", "is no function"),
        ],
    )
    def test_one_that_cannot_be_loaded_says_whose_it_is(self, scheme, message):
        with pytest.raises(ConfigError, match=message):
            open_store(f"{scheme}://x")

    def test_an_extra_that_is_missing_is_named(self):
        with pytest.raises(MissingExtraError, match="shelflib"):
            open_store("lacking://x")

    def test_two_distributions_of_one_name_are_refused(self, site):
        install(site, "other", "[noskew.online_stores]\nshelf = other_store:open_online\n", CODE)
        with pytest.raises(ConfigError, match=r"of other-store, .*of shelf-store"):
            open_store("shelf://x")


def test_ours_are_opened_without_a_look_at_what_is_installed(tmp_path):
    # The look costs milliseconds, more than all else of opening a store.
    code = f"""
import sys
from noskew.stores.online import open_store
open_store("memory://").close()
open_store("lmdb://{tmp_path}/online").close()
assert "importlib.metadata" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda d: open_log("pulsar", {}, directory=d, clock=SystemClock()), "valid names: kafka"),
        (lambda d: open_offline_store("oracle://h/d", str(d), namespace="n"), "scheme 'oracle'"),
        (lambda d: open_source("parket", {}), "Did you mean 'parquet'"),
    ],
)
def test_what_nobody_opens_is_refused(tmp_path, call, message):
    with pytest.raises(ConfigError, match=message):
        call(tmp_path)

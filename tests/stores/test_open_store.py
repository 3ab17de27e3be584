from __future__ import annotations

import subprocess
import sys

import pytest

from noskew.errors import ConfigError
from noskew.stores.online import open_store
from noskew.stores.online.memory import MemoryStore


def run(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.mark.parametrize(
    ("module", "foreign"),
    [
        ("noskew.stores.online", {"lmdb", "hiredis", "redis", "boto3"}),
        ("noskew.stores.online.memory", {"lmdb", "hiredis", "redis", "boto3"}),
        ("noskew.stores.online.lmdb", {"hiredis", "redis", "boto3"}),
        ("noskew.stores.online.redis", {"lmdb", "boto3"}),
        ("noskew.stores.online.dynamodb", {"lmdb", "hiredis", "redis"}),
    ],
)
def test_a_backend_imports_no_other(module, foreign):
    loaded = run(f"import sys, {module}; print(*sys.modules)").split()
    assert foreign.isdisjoint(loaded)
    others = {
        f"noskew.stores.online.{name}" for name in ("memory", "lmdb", "redis", "dynamodb")
    } - {module}
    assert others.isdisjoint(loaded)


@pytest.mark.parametrize(
    ("library", "extra", "url"),
    [("hiredis", "redis", "redis://localhost"), ("boto3", "dynamodb", "dynamodb://table")],
)
def test_a_missing_library_names_its_extra(library, extra, url):
    code = f"""
import sys
sys.modules[{library!r}] = None
from noskew.errors import MissingExtraError
from noskew.stores.online import open_store
open_store("memory://").close()
try:
    open_store({url!r})
except MissingExtraError as error:
    print(error)
"""
    assert f"pip install 'noskew[{extra}]'" in run(code)


def test_memory():
    with open_store("memory://") as store:
        assert isinstance(store, MemoryStore)


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("", "lmdb:///"),
        ("/var/lib/online", "scheme ''"),
        ("mongodb://host", "valid names: dynamodb, lmdb, memory"),
        ("reddis://host", "Did you mean 'redis'"),
        ("memory://name", "'memory://'"),
        ("memory://?x=1", "option 'x'"),
        ("lmdb://", "names a directory"),
        ("lmdb:///x?readonly=yes", "'true' or 'false'"),
        ("lmdb:///x?map_size=1GB", "number of bytes"),
        ("lmdb:///x?readnly=true", "Did you mean 'readonly'"),
    ],
)
def test_another_address_is_refused(url, message):
    with pytest.raises(ConfigError, match=message):
        open_store(url)

"""The state of streams: atomic commits, fenced by an epoch, kept over kills."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from noskew.errors import FencedError, StoreError
from noskew.stores.online.lmdb import LmdbStore
from noskew.stores.state.lmdb import StateStore
from noskew.testing import processes

VERSION = bytes(15)


def test_a_commit_is_read_back_and_puts_replace_and_deletes_remove(tmp_path: Path) -> None:
    store = StateStore(tmp_path)
    space = store.space(b"one")
    epoch = space.claim()
    space.commit([(b"b", b"1"), (b"a", b""), (b"c", b"3")], epoch=epoch)
    space.commit([(b"b", b"2")], deletes=[b"c", b"absent"], epoch=epoch)
    assert space.read([b"c", b"b", b"a", b"b"]) == [None, b"2", b"", b"2"]
    assert space.read([]) == []
    space.commit([(b"c", b"new")], deletes=[b"c"], epoch=epoch)
    assert space.read([b"c"]) == [b"new"], "what is put stays"
    store.close()
    store.close()
    with pytest.raises(StoreError, match="closed"):
        space.read([b"a"])
    with StateStore(tmp_path) as again:
        assert again.space(b"one").read([b"b"]) == [b"2"]


def test_spaces_and_rows_are_apart_and_change_together(tmp_path: Path) -> None:
    with StateStore(tmp_path) as store:
        one, two = store.space(b"one"), store.space(b"two")
        first, second = one.claim(), two.claim()
        one.commit([(b"k", b"1")], rows=[(b"row", b"r1"), (b"rower", b"r2")], epoch=first)
        two.commit([(b"k", b"2")], epoch=second)
        assert (one.read([b"k"]), two.read([b"k"])) == ([b"1"], [b"2"])
        assert store.rows([b"rower", b"k", b"row"]) == [b"r2", None, b"r1"]
        two.commit(removed=[b"row"], epoch=second)
        assert store.rows([b"rower", b"row"]) == [b"r2", None]
        two.commit(rows=[(b"rows", b"r3"), (b"s", b"r4")], clear=[b"ro"], epoch=second)
        assert store.rows([b"rower", b"rows", b"s"]) == [None, b"r3", b"r4"]
        assert one.read([b"k"]) == [b"1"]


def test_rows_of_an_embedded_store_are_its_rows_and_nothing_else_is(tmp_path: Path) -> None:
    with LmdbStore(tmp_path) as online:
        assert online.embedded_at is not None
        keys = [b"\0", b"\0noskew\x01", b"a", b"b"]
        online.write(keys, [VERSION + b"1"] * len(keys))
        with StateStore(online.embedded_at) as store:
            space = store.space(b"one")
            epoch = space.claim()
            rows = [(b"a", VERSION + b"2"), (b"c", VERSION + b"2")]
            space.commit([(b"k%d" % i, b"x") for i in range(9)], rows=rows, epoch=epoch)
            assert [k for k, _ in online.scan()] == sorted([*keys, b"c"])
            assert [k for k, _ in online.scan(b"\0")] == keys[:2]
            assert online.read([b"a", b"c"]) == [VERSION + b"2"] * 2
            assert [k for k, _ in space.scan(b"k")] == [b"k%d" % i for i in range(9)]


def test_who_was_overtaken_changes_nothing(tmp_path: Path) -> None:
    with StateStore(tmp_path) as store:
        space = store.space(b"one")
        first = space.claim()
        space.commit([(b"k", b"first")], rows=[(b"r", b"first")], epoch=first)
        second = store.space(b"one").claim()
        assert second > first
        with pytest.raises(FencedError, match="another worker"):
            space.commit(
                [(b"k", b"zombie")],
                rows=[(b"r", b"zombie")],
                deletes=[b"k"],
                removed=[b"r"],
                clear=[b""],
                epoch=first,
            )
        space.commit([(b"k2", b"second")], epoch=second)
        assert space.read([b"k", b"k2"]) == [b"first", b"second"]
        assert store.rows([b"r"]) == [b"first"]
        with pytest.raises(FencedError):
            space.commit(epoch=first)
        assert store.space(b"two").claim() == 1, "each space has an owner of its own"


def test_scan_gives_what_starts_with_a_prefix_in_order(tmp_path: Path) -> None:
    with StateStore(tmp_path) as store:
        space = store.space(b"one")
        epoch = space.claim()
        pairs = [(b"p%05d" % i, os.urandom(400)) for i in range(9_000)]  # more than one portion
        both = [*reversed(pairs), (b"o", b"x"), (b"q", b"x")]
        space.commit(both, rows=both, epoch=epoch)
        for found in (space.scan, store.scan):
            assert list(found(b"p")) == pairs
            assert list(found(b"p00000")) == pairs[:1]
            assert list(found(b"z")) == []


def _count_up(path: Path, started: str) -> None:
    space = StateStore(path).space(b"one")
    epoch = space.claim()
    number = 0
    while True:
        number += 1
        value = b"%d" % number
        items = [(b"k%d" % k, value) for k in range(100)]
        space.commit(items, rows=items, epoch=epoch)
        if number == 20:
            Path(started).touch()


def test_a_killed_commit_is_all_there_or_not_at_all(tmp_path: Path) -> None:
    for turn in range(3):
        started = tmp_path / f"started{turn}"
        process = processes.start(_count_up, tmp_path / "state", str(started))
        while not started.exists():
            process.join(0.01)
            assert process.exitcode is None
        assert process.pid is not None
        os.kill(process.pid, signal.SIGKILL)
        process.join(60)
        with StateStore(tmp_path / "state") as store:
            keys = [b"k%d" % k for k in range(100)]
            found = store.space(b"one").read(keys) + store.rows(keys)
        assert len(set(found)) == 1
        assert int(found[0] or b"0") >= 20

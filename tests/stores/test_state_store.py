"""The state of a stream: atomic commits, fenced by an epoch, kept over kills."""

from __future__ import annotations

import multiprocessing
import os
import signal
from pathlib import Path

import pytest

from noskew.errors import FencedError, StoreError
from noskew.stores.state.lmdb import StateStore


def test_a_commit_is_read_back_and_puts_replace_and_deletes_remove(tmp_path: Path) -> None:
    store = StateStore(tmp_path)
    epoch = store.claim()
    store.commit([(b"b", b"1"), (b"a", b""), (b"c", b"3")], epoch=epoch)
    store.commit([(b"b", b"2")], deletes=[b"c", b"absent"], epoch=epoch)
    assert store.read([b"c", b"b", b"a", b"b"]) == [None, b"2", b"", b"2"]
    assert store.read([]) == []
    store.commit([(b"c", b"new")], deletes=[b"c"], epoch=epoch)
    assert store.read([b"c"]) == [b"new"], "what is put stays"
    store.close()
    store.close()
    with pytest.raises(StoreError, match="closed"):
        store.read([b"a"])
    again = StateStore(tmp_path)
    assert again.read([b"b"]) == [b"2"]
    again.close()


def test_who_was_overtaken_changes_nothing(tmp_path: Path) -> None:
    store = StateStore(tmp_path)
    first = store.claim()
    store.commit([(b"k", b"first")], epoch=first)
    second = store.claim()
    assert second > first
    with pytest.raises(FencedError, match="another worker"):
        store.commit([(b"k", b"zombie")], deletes=[b"k"], epoch=first)
    store.commit([(b"k2", b"second")], epoch=second)
    assert store.read([b"k", b"k2"]) == [b"first", b"second"]
    with pytest.raises(FencedError):
        store.commit([], epoch=first)
    store.close()


def test_scan_gives_what_starts_with_a_prefix_in_order(tmp_path: Path) -> None:
    store = StateStore(tmp_path)
    epoch = store.claim()
    pairs = [(b"p%05d" % i, os.urandom(400)) for i in range(9_000)]  # more than one portion
    store.commit([*reversed(pairs), (b"o", b"x"), (b"q", b"x")], epoch=epoch)
    assert list(store.scan(b"p")) == pairs
    assert list(store.scan(b"p00000")) == pairs[:1]
    assert list(store.scan(b"z")) == []
    store.close()


def _count_up(path: Path, started: str) -> None:
    store = StateStore(path)
    epoch = store.claim()
    number = 0
    while True:
        number += 1
        value = b"%d" % number
        store.commit([(b"k%d" % k, value) for k in range(200)], epoch=epoch)
        if number == 20:
            Path(started).touch()


def test_a_killed_commit_is_all_there_or_not_at_all(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    for turn in range(3):
        started = tmp_path / f"started{turn}"
        process = context.Process(target=_count_up, args=(tmp_path / "state", str(started)))
        process.start()
        while not started.exists():
            process.join(0.01)
            assert process.exitcode is None
        assert process.pid is not None
        os.kill(process.pid, signal.SIGKILL)
        process.join(60)
        store = StateStore(tmp_path / "state")
        found = store.read([b"k%d" % k for k in range(200)])
        assert len(set(found)) == 1
        assert int(found[0] or b"0") >= 20
        store.close()

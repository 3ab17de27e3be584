from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest

from noskew.stores.online.lmdb import key_order
from noskew.stores.online.lmdb.key_order import KeyOrder
from noskew.testing.online_store import batch_of, row

Item = tuple[bytes, bytes]


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs, blocks and chunks of a few rows, so that small loads have many of them."""
    monkeypatch.setattr(key_order, "_LEAST_RUN_BYTES", 1_000)
    monkeypatch.setattr(key_order, "_BLOCK_BYTES", 200)
    monkeypatch.setattr(key_order, "_BLOCKS_PER_CHUNK", 4)


def some(random: Random, n: int) -> list[Item]:
    """Rows whose keys share prefixes, have different lengths, and repeat now and then."""
    keys = [random.randbytes(random.randrange(1, 4)).strip(b"\x01") or b"k" for _ in range(n)]
    return [(key, row(i, random.randbytes(random.randrange(30)))) for i, key in enumerate(keys)]


def add(order: KeyOrder, items: list[Item], size: int) -> None:
    for at in range(0, len(items), size):
        part = items[at : at + size]
        order.add(batch_of([k for k, _ in part], [r for _, r in part]))


def chunks(order: KeyOrder) -> Iterator[list[Item]]:
    for chunk in order.chunks():
        keys, rows = chunk.columns
        yield list(zip(keys.to_pylist(), rows.to_pylist(), strict=True))


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("run_bytes", [500, 5_000, 1 << 20])
def test_all_rows_come_in_the_order_of_their_keys(tmp_path: Path, seed: int, run_bytes: int):
    random = Random(seed)
    items = some(random, 2_000)
    if seed % 2:  # as from a table in buckets: each part in order, on its own
        items = [item for b in range(5) for item in sorted(items[b::5])]
    with KeyOrder(tmp_path, run_bytes=run_bytes) as order:
        add(order, items, random.choice([1, 70, 3_000]))
        found = list(chunks(order))
        assert len(found) > 5 or run_bytes == 1 << 20
        assert not list(tmp_path.iterdir())  # what it wrote has no name, and needs no cleaning up
    together = [item for chunk in found for item in chunk]
    assert [key for key, _ in together] == sorted(key for key, _ in items)
    assert sorted(together) == sorted(items)
    seen = [{key for key, _ in chunk} for chunk in found]
    assert sum(map(len, seen)) == len(set().union(*seen))  # no key is in two chunks


def test_runs_in_order_are_not_held_in_memory(tmp_path: Path):
    with KeyOrder(tmp_path, run_bytes=4_000) as order:
        for number in range(50):
            add(order, [(b"%d-%03d" % (number, i), row(1)) for i in range(100)], 100)
            assert order._pending_bytes <= 4_000
        assert len([item for chunk in chunks(order) for item in chunk]) == 5_000


def test_one_row_may_be_larger_than_a_run(tmp_path: Path):
    items = [(b"b", row(1, bytes(9_000))), (b"a", row(1, bytes(20_000))), (b"c", row(1))]
    with KeyOrder(tmp_path, run_bytes=1_000) as order:
        add(order, items, 3)
        assert [item for chunk in chunks(order) for item in chunk] == sorted(items)


def test_nothing_gives_nothing(tmp_path: Path):
    with KeyOrder(tmp_path) as order:
        add(order, [], 1)
        order.add(batch_of([], []))
        assert list(order.chunks()) == []

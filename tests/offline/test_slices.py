"""Reading a bucket in slices: every fact once, no key twice, in order, in bounded memory."""

from __future__ import annotations

from itertools import chain, groupby
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from noskew.errors import CorruptDataError, SchemaMismatchError
from noskew.stores.offline import BUCKET, EVENT_TIME, KNOWN_TIME, SEQUENCE, Filter, IcebergStore
from noskew.stores.offline import parquet as files
from noskew.stores.offline import slices as run_slices
from noskew.stores.offline.base import OfflineStore, TableSpec
from noskew.stores.offline.slices import slices
from noskew.testing.offline_store import TIME, facts, simple

KEYS = {
    "int64": (pa.int64(), st.integers(-3, 3)),
    "string": (pa.string(), st.sampled_from(["", "a", "B", "é", "z", "￿", "\U0001f600"])),
    "binary": (pa.binary(), st.sampled_from([b"", b"\x00", b"a", b"\xff"])),
    "bool": (pa.bool_(), st.booleans()),
    "time": (TIME, st.sampled_from([-(2**62), -1, 0, 1, 2**62])),
    "date": (pa.date32(), st.integers(-2, 2)),
}


def ordered(key: tuple[Any, ...]) -> tuple[Any, ...]:
    return tuple(part.encode() if isinstance(part, str) else part for part in key)


@given(data=st.data())
def test_slices_hold_every_row_once_and_whole_keys(data: st.DataObject) -> None:
    kinds = data.draw(st.lists(st.sampled_from(sorted(KEYS)), min_size=1, max_size=2))
    names = [f"k{i}" for i in range(len(kinds))]
    schema = pa.schema([pa.field(n, KEYS[k][0]) for n, k in zip(names, kinds, strict=True)])
    schema = schema.append(pa.field("row", pa.int64()))
    keys = st.tuples(*(KEYS[kind][1] for kind in kinds))
    runs, streams, number = [], [], 0
    for drawn in data.draw(st.lists(st.lists(keys, max_size=12), max_size=4)):
        run = [(*key, number + i) for i, key in enumerate(sorted(drawn, key=ordered))]
        number += len(run)
        runs.append(run)
        columns = list(zip(*run, strict=True)) or [() for _ in schema]
        table = pa.table(
            [pa.array(c, f.type) for c, f in zip(columns, schema, strict=True)], schema
        )
        step = data.draw(st.integers(1, 5))
        streams.append([table.slice(i, step) for i in range(0, max(1, len(table)), step)])
    least, worth_while = data.draw(st.integers(0, 3)), data.draw(st.integers(1, 9))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(run_slices, "_WORTH_WHILE", worth_while)
        found = list(slices([iter(stream) for stream in streams], names, least=least))
    rows = [piece.column("row").to_pylist() for piece in found]
    assert sorted(chain(*rows)) == list(range(number)), "every row once"
    of = {row[-1]: row[:-1] for run in runs for row in run}
    seen: set[Any] = set()
    for piece in rows:
        keys_here = {of[row] for row in piece}
        assert not keys_here & seen, "no key in two slices"
        seen |= keys_here
        which = [
            next(i for i, run in enumerate(runs) if any(r[-1] == row for r in run)) for row in piece
        ]
        assert len(list(groupby(which))) == len(set(which)), "the rows of a run stay together"
        for run in set(which):
            own = [row for row, w in zip(piece, which, strict=True) if w == run]
            assert own == sorted(own), "and in order"


def batches(rows: list[tuple[int, int]], size: int) -> list[pa.Table]:
    """Tables of ``size`` rows of (key, number)."""
    keys, numbers = zip(*rows, strict=True)
    table = pa.table({"k": pa.array(keys, pa.int64()), "row": pa.array(numbers, pa.int64())})
    return [table.slice(i, size) for i in range(0, len(table), size)]


def test_keys_across_two_batches_make_one_slice_together(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else every other slice would be the few rows of one key, and cost as much as a large one."""
    monkeypatch.setattr(run_slices, "_WORTH_WHILE", 75)
    parts = batches([(i // 2, i) for i in range(950)], 95)
    *bulk, seams = slices([iter(parts)], ["k"])
    assert len(bulk) == len(parts) == 10
    assert seams.column("k").unique().to_pylist() == [
        47,
        94,
        142,
        189,
        237,
        284,
        332,
        379,
        427,
        474,
    ]
    assert seams.column("k").num_chunks == 1
    together = sorted(chain(*(piece.column("row").to_pylist() for piece in [*bulk, seams])))
    assert together == list(range(950))


def test_held_rows_are_given_away_once_they_are_worth_while(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(run_slices, "_WORTH_WHILE", 15)
    rows = batches([(i // 10, i) for i in range(1_000)], 95)
    found = [piece.column("k").unique().to_pylist() for piece in slices([iter(rows)], ["k"])]
    assert [found.index(seams) for seams in ([9, 18], [28, 37])] == [2, 5]


def test_an_unsorted_key_that_comes_twice_is_not_joined_up() -> None:
    """In a file that is not sorted it must come up twice, for the reader to see it."""
    keys = [1, 1, 2, 2, 2, 1, 2, 2]
    found = list(slices([iter(batches(list(zip(keys, range(8), strict=True)), 2))], ["k"]))
    runs = [[k for k, _ in groupby(piece.column("k").to_pylist())] for piece in found]
    assert sum(run.count(2) for run in runs) == 2


@pytest.fixture
def store(tmp_path: Path) -> Any:
    with IcebergStore(f"sqlite:///{tmp_path}/catalog.db", str(tmp_path)) as opened:
        yield opened


@pytest.fixture
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    """Files of a few rows are read in pieces, too."""
    monkeypatch.setattr(files, "_MOST_BATCH", 7)
    monkeypatch.setattr(files, "_LEAST_BATCH", 2)
    monkeypatch.setattr(files, "ROW_GROUP_ROWS", 16)
    monkeypatch.setattr(run_slices, "_WORTH_WHILE", 4)


def content(tables: list[pa.Table]) -> list[dict[str, Any]]:
    together = pa.concat_tables(tables)
    order = [(name, "ascending") for name in ("k", EVENT_TIME, KNOWN_TIME, SEQUENCE)]
    return together.sort_by([o for o in order if o[0] in together.column_names]).to_pylist()


@pytest.mark.usefixtures("small_batches")
def test_a_scan_brings_what_a_read_brings(store: OfflineStore) -> None:
    store.create(simple())
    for number in range(3):
        rows = [(k, 10 * i + number, k / 3) for k in range(0, 40, 4) for i in range(k % 9)]
        store.append("facts", [facts(rows, known=number)], token=str(number))
        columns = ["v", "k", EVENT_TIME, KNOWN_TIME, SEQUENCE]
        scanned = list(store.scan("facts", columns, bucket=0))
        assert len(scanned) > 3
        assert all(table.column_names == columns for table in scanned)
        assert content(scanned) == content([store.read("facts", columns, bucket=0)])


def test_ties_are_told_apart_where_they_can_be(store: OfflineStore) -> None:
    """One file is in order as it is; of several the clocks must be known to merge them."""
    store.create(simple())
    store.append("facts", [facts([(4, 1, 1.0)])], token="a")
    (table,) = store.scan("facts", ["k", "v"], bucket=0)
    assert table.column_names == ["k", "v"]
    store.append("facts", [facts([(4, 1, 2.0)], known=2_000)], token="b")
    (table,) = store.scan("facts", ["k", "v"], bucket=0)
    assert table.column_names == ["k", "v", KNOWN_TIME, SEQUENCE]
    assert sorted(table.column("v").to_pylist()) == [1.0, 2.0]


def test_a_scan_skips_files_outside_the_times(store: OfflineStore) -> None:
    store.create(simple())
    store.append("facts", [facts([(4, 10, 1.0)])], token="early")
    store.append("facts", [facts([(4, 90, 2.0)])], token="late")
    Path(store.files("facts")[0]).write_bytes(b"damaged")
    (table,) = store.scan("facts", ["v"], bucket=0, where=Filter(event_from=50))
    assert table.column("v").to_pylist() == [2.0]
    with pytest.raises(CorruptDataError):
        list(store.scan("facts", ["v"], bucket=0))
    with pytest.raises(SchemaMismatchError, match="'w'"):
        list(store.scan("facts", ["w"], bucket=0))


def test_keys_without_an_order_come_in_one_slice(store: OfflineStore) -> None:
    schema = pa.schema([("k", pa.float64()), ("v", pa.int64())])
    store.create(TableSpec("t", schema, ("k",), 1))
    for number in range(2):
        columns: dict[str, Any] = {
            "k": pa.array([float("nan"), -0.0, 0.0, 1.0]),
            "v": pa.array([1, 2, 3, 4]),
            EVENT_TIME: pa.array([5] * 4, TIME),
            KNOWN_TIME: pa.array([6] * 4, TIME),
            BUCKET: pa.array([0] * 4, pa.int32()),
        }
        store.append("t", [pa.RecordBatch.from_pydict(columns)], token=str(number))
    (table,) = store.scan("t", ["v"], bucket=0)
    assert sorted(table.column("v").to_pylist()) == [1, 1, 2, 2, 3, 3, 4, 4]


@pytest.mark.parametrize("column", ["k", "v"])
def test_a_scan_finds_a_flipped_bit(store: OfflineStore, column: str) -> None:
    """In each column that is read; that of numbers decodes to something, whatever is in it."""
    store.create(simple())
    store.append("facts", [facts([(4 * k, k, k * 0.1) for k in range(2_000)])], token="a")
    (path,) = map(Path, store.files("facts"))
    start = pq.ParquetFile(path).metadata.row_group(0)
    names = [start.column(i).path_in_schema for i in range(start.num_columns)]
    chunk = start.column(names.index(column))
    raw = bytearray(path.read_bytes())
    raw[
        (chunk.dictionary_page_offset or chunk.data_page_offset) + chunk.total_compressed_size // 2
    ] ^= 1
    path.write_bytes(raw)
    with pytest.raises(CorruptDataError, match=path.name):
        list(store.scan("facts", ["k", "v"], bucket=0))


def test_memory_is_bounded_by_the_batch_not_the_bucket(store: OfflineStore) -> None:
    """A scan of 22 MB in one bucket and one file holds a few megabytes at a time."""
    schema = pa.schema([("k", pa.int64()), *((f"v{i}", pa.float64()) for i in range(8))])
    store.create(TableSpec("t", schema, ("k",), 1))
    rows = 300_000
    number = pa.array(range(rows), pa.int64())
    values = number.cast(pa.float64())
    columns: dict[str, Any] = {"k": number} | {f"v{i}": values for i in range(8)}
    columns |= {
        EVENT_TIME: number.cast(TIME),
        KNOWN_TIME: number.cast(TIME),
        BUCKET: pa.array([0] * rows, pa.int32()),
    }
    store.append("t", [pa.RecordBatch.from_pydict(columns)], token="a")
    del columns, values, number
    before, most, count = pa.total_allocated_bytes(), 0, 0
    for table in store.scan("t", schema.names, bucket=0):
        count += len(table)
        most = max(most, pa.total_allocated_bytes() - before)
    assert count == rows
    assert most < 24 * 2**20

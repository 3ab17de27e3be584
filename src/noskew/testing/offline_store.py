"""What every offline store must do: a suite to subclass, usable by authors of other stores.

Enrol a backend in a few lines::

    class TestMyStore(OfflineStoreTests):
        @pytest.fixture
        def store(self, tmp_path):
            with MyStore(tmp_path) as store:
                yield store

        def reopen(self, store):
            return MyStore(...)  # another handle on the same data, as a new process has it

``read_raw`` looks at the files with an engine of their own, so that writing and reading are
each judged alone. Data is made by plain loops that share no code with any store.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import math
import threading
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from datetime import date
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest

from noskew.errors import (
    ConflictError,
    InputError,
    InvalidNameError,
    KeyTypeError,
    LimitError,
    NoteMismatchError,
    NotFoundError,
    SchemaMismatchError,
)
from noskew.stores.offline.base import (
    BUCKET,
    EVENT_TIME,
    KNOWN_TIME,
    SEQUENCE,
    Filter,
    OfflineStore,
    TableSpec,
    Written,
)

TIME = pa.timestamp("us", "UTC")
BUCKETS = 4
_MAX = 2**63 - 1

#: Values per type, each of them to come back bit for bit.
VALUES: dict[str, tuple[pa.DataType, list[Any]]] = {
    "bool": (pa.bool_(), [True, False, None]),
    "int8": (pa.int8(), [-128, 127, 0, None]),
    "int16": (pa.int16(), [-(2**15), 2**15 - 1, None]),
    "int32": (pa.int32(), [-(2**31), 2**31 - 1, None]),
    "int64": (pa.int64(), [-_MAX - 1, _MAX, 2**53 + 1, None]),
    "float32": (pa.float32(), [0.0, -0.0, float("nan"), float("inf"), 1e-45, None]),
    "float64": (pa.float64(), [0.0, -0.0, float("nan"), float("-inf"), 5e-324, 0.1, None]),
    "string": (pa.string(), ["", "a", "ü\U0001f600", "nul\x00inside", "x" * 5000, None]),
    "binary": (pa.binary(), [b"", b"\x00\xff", b"y" * 5000, None]),
    "timestamp": (TIME, [0, -1, 253_402_300_799_999_999, -62_135_596_800_000_000, None]),
    "date": (pa.date32(), [date(1970, 1, 1), date(1, 1, 1), date(9999, 12, 31), None]),
    "decimal": (pa.decimal128(38, 9), [Decimal("0.000000001"), Decimal("-1e28"), None]),
    "decimal_small": (pa.decimal128(5, 2), [Decimal("999.99"), Decimal("-0.01"), None]),
    "list_int8": (pa.list_(pa.int8()), [[], [1, None, -128], None]),
    "list_float": (pa.list_(pa.float64()), [[-0.0, float("nan")], [], [None], None]),
    "list_string": (pa.list_(pa.string()), [["", None, "b"], [], None]),
    "list_time": (pa.list_(TIME), [[0, None], None]),
    "vector": (pa.list_(pa.float32(), 3), [[1.0, -0.0, float("nan")], [0.0, 0.5, 2.0], None]),
    "vector_int16": (pa.list_(pa.int16(), 2), [[1, -(2**15)], None, [0, 0]]),
}


def facts(
    rows: Iterable[Sequence[Any]],
    *,
    schema: pa.Schema | None = None,
    known: int = 1_000,
    buckets: int = BUCKETS,
) -> pa.RecordBatch:
    """A batch from rows of (key, event time, value...), the key's bucket being key % buckets."""
    rows = list(rows)
    schema = schema or _schema(k=pa.int64(), v=pa.float64())
    names = [name for name in schema.names if name != "k"]
    columns: dict[str, pa.Array[Any]] = {
        "k": pa.array([row[0] for row in rows], pa.int64()),
        EVENT_TIME: pa.array([row[1] for row in rows], TIME),
        KNOWN_TIME: pa.array([known] * len(rows), TIME),
        BUCKET: pa.array([row[0] % buckets for row in rows], pa.int32()),
    }
    for number, name in enumerate(names):
        values = [row[2 + number] for row in rows]
        columns[name] = pa.array(values, schema.field(name).type)
    return pa.RecordBatch.from_arrays(list(columns.values()), names=list(columns))


def simple(name: str = "facts") -> TableSpec:
    """A table of one integer key and one float."""
    return TableSpec(name, _schema(k=pa.int64(), v=pa.float64()), ("k",), BUCKETS)


def listed(values: Any) -> list[Any]:
    """An Arrow array as Python values."""
    result: list[Any] = values.to_pylist()
    return result


def _schema(**columns: pa.DataType) -> pa.Schema:
    return pa.schema([pa.field(name, kind) for name, kind in columns.items()])


def bits(table: pa.Table) -> list[tuple[str, Any]]:
    """The logical content as comparable values: floats as their hexadecimal form."""
    return [(name, _bits(listed(table.column(name)))) for name in table.column_names]


def _bits(value: Any) -> Any:
    if isinstance(value, list):
        return [_bits(item) for item in value]
    return value.hex() if isinstance(value, float) else value


class OfflineStoreTests(ABC):
    """The suite. Subclass it, name the class ``Test...``, give the abstract parts."""

    @pytest.fixture
    @abstractmethod
    def store(self) -> Iterator[OfflineStore]:
        """An empty store, closed afterwards."""

    @abstractmethod
    def reopen(self, store: OfflineStore) -> OfflineStore:
        """Another handle on the same data, with nothing in common in memory."""

    def read_raw(self, store: OfflineStore, table: str) -> pa.Table:
        """All rows of the table's files, read by DuckDB and not by the store."""
        import duckdb

        with duckdb.connect() as connection:
            connection.execute("SET TimeZone = 'UTC'")
            # The relational API: file names are values, never part of a statement.
            raw: pa.Table = connection.read_parquet(store.files(table)).to_arrow_table()
            return raw

    # -- tables ------------------------------------------------------------------------------

    def test_a_new_table_is_empty(self, store: OfflineStore) -> None:
        store.create(simple())
        info = store.info("facts")
        assert (info.snapshot, info.snapshot_number, info.rows, info.files) == (None, 0, 0, 0)
        assert (info.last_sequence, info.committed_at, info.notes) == (-1, None, {})
        assert info.spec == simple()
        read = store.read("facts", ["v", "k", EVENT_TIME])
        assert read.num_rows == 0
        assert read.schema.types == [pa.float64(), pa.int64(), TIME]
        assert store.files("facts") == []

    def test_create_twice_is_once_and_another_spec_is_refused(self, store: OfflineStore) -> None:
        store.create(simple())
        store.append("facts", [facts([(1, 1, 1.0)])], token="a")
        store.create(simple())
        assert store.info("facts").rows == 1
        for other in (
            TableSpec("facts", simple().schema, ("k",), BUCKETS + 1),
            TableSpec("facts", simple().schema.append(pa.field("w", pa.int8())), ("k",), BUCKETS),
            TableSpec("facts", _schema(k=pa.int64(), v=pa.string()), ("k",), BUCKETS),
        ):
            with pytest.raises(SchemaMismatchError, match="facts"):
                store.create(other)

    def test_tables_are_listed_sorted_and_survive_reopening(self, store: OfflineStore) -> None:
        assert store.tables() == []
        for name in ("b", "a", "c_1"):
            store.create(simple(name))
        assert store.tables() == ["a", "b", "c_1"]
        with self.reopen(store) as again:
            assert again.tables() == ["a", "b", "c_1"]
            assert again.info("a").spec == simple("a")

    @pytest.mark.parametrize(
        "name", ["../x", "a/b", "A", "", "a'b", 'a"b', "a.b", "a b", "é", "a" * 129, "a\n"]
    )
    def test_names_that_could_leave_their_place_are_refused(
        self, store: OfflineStore, name: str
    ) -> None:
        with pytest.raises(InvalidNameError):
            store.create(simple(name))
        with pytest.raises((InvalidNameError, NotFoundError)):
            store.info(name)
        assert store.tables() == []

    def test_specs_without_sense_are_refused(self, store: OfflineStore) -> None:
        schema = simple().schema
        for spec in (
            TableSpec("t", schema, (), 4),
            TableSpec("t", schema, ("x",), 4),
            TableSpec("t", schema, ("k", "k"), 4),
            TableSpec("t", schema, ("k",), 0),
            TableSpec("t", schema.append(pa.field(EVENT_TIME, TIME)), ("k",), 4),
            TableSpec("t", schema.append(pa.field("v", pa.int8())), ("k",), 4),
            TableSpec("t", schema.append(pa.field("m", pa.map_(pa.int8(), pa.int8()))), ("k",), 4),
        ):
            with pytest.raises((SchemaMismatchError, InvalidNameError)):
                store.create(spec)
        assert store.tables() == []

    def test_a_table_that_is_not_there(self, store: OfflineStore) -> None:
        store.create(simple("facts_of_today"))
        for call in (
            lambda: store.info("facts"),
            lambda: store.read("facts", ["k"]),
            lambda: store.files("facts"),
            lambda: store.append("facts", [], token="a"),
            lambda: store.committed("facts", "a"),
            lambda: store.compact("facts"),
            lambda: store.compact("facts", small=True),
            lambda: store.expire("facts", before=0),
        ):
            with pytest.raises(NotFoundError, match="facts_of_today"):
                call()

    def test_drop_forgets_everything(self, store: OfflineStore) -> None:
        store.create(simple())
        store.append("facts", [facts([(1, 1, 1.0)])], token="a", notes={"n": "1"})
        store.read("facts", ["k"])
        store.drop("facts")
        store.drop("facts")
        assert store.tables() == []
        with pytest.raises(NotFoundError):
            store.read("facts", ["k"])
        store.create(TableSpec("facts", _schema(k=pa.int64()), ("k",), 2))
        assert store.info("facts").rows == 0
        assert store.info("facts").notes == {}
        assert store.committed("facts", "a") is None
        assert store.read("facts", ["k"]).num_rows == 0

    # -- values ------------------------------------------------------------------------------

    @pytest.mark.parametrize("kind", list(VALUES))
    def test_values_come_back_bit_for_bit(self, store: OfflineStore, kind: str) -> None:
        arrow, values = VALUES[kind]
        schema = _schema(k=pa.int64(), v=arrow)
        store.create(TableSpec("t", schema, ("k",), 1))
        rows = [(0, number, value) for number, value in enumerate(values)]
        store.append("t", [facts(rows, schema=schema, buckets=1)], token="a")
        with self.reopen(store) as again:
            read = again.read("t", ["v"], bucket=0)
            assert again.info("t").spec.schema == schema
        assert read.schema == _schema(v=arrow)
        assert bits(read) == [("v", _bits(listed(pa.array(values, arrow))))]
        raw = self.read_raw(store, "t")
        if not pa.types.is_decimal(arrow):
            column = raw.column("v")
            assert _bits(listed(column.cast(arrow))) == bits(read)[0][1]

    @pytest.mark.parametrize(
        ("arrow", "keys"),
        [
            (pa.string(), ["", "a", "b", "ab", "é", "Z"]),
            (pa.binary(), [b"", b"\x00", b"\xff", b"a"]),
            (pa.int8(), [-128, 127, 0]),
            (pa.int64(), [-_MAX - 1, _MAX, 0]),
            (pa.bool_(), [True, False]),
            (TIME, [-1, 0, 1]),
            (pa.date32(), [date(2000, 1, 1), date(1900, 1, 1)]),
            (pa.decimal128(10, 2), [Decimal("1.50"), Decimal("-3.00")]),
        ],
        ids=str,
    )
    def test_keys_of_every_type_are_sorted(
        self, store: OfflineStore, arrow: pa.DataType, keys: list[Any]
    ) -> None:
        store.create(TableSpec("t", _schema(key=arrow), ("key",), 1))
        shuffled = [*keys, *reversed(keys)]
        batch = pa.RecordBatch.from_arrays(
            [
                pa.array(shuffled, arrow),
                pa.array([5] * len(shuffled), TIME),
                pa.array([5] * len(shuffled), TIME),
                pa.array([0] * len(shuffled), pa.int32()),
            ],
            names=["key", EVENT_TIME, KNOWN_TIME, BUCKET],
        )
        store.append("t", [batch], token="a")
        read = listed(store.read("t", ["key"]).column("key"))
        plain = listed(pa.array(shuffled, arrow))

        def order(value: Any) -> Any:
            return value.encode() if isinstance(value, str) else value

        assert read == sorted(plain, key=order)
        wanted = pa.table({"key": pa.array(keys[:1], arrow)})
        found = listed(store.read("t", ["key"], where=Filter(keys=wanted)).column("key"))
        assert found.count(listed(pa.array(keys[:1], arrow))[0]) == 2

    # -- order -------------------------------------------------------------------------------

    def test_a_run_is_sorted_by_keys_event_time_known_time_sequence(
        self, store: OfflineStore
    ) -> None:
        schema = _schema(a=pa.int64(), b=pa.string(), n=pa.int64())
        store.create(TableSpec("t", schema, ("b", "a"), 1))
        state, rows = 12_345, []
        for number in range(3_000):
            state = (1_103_515_245 * state + 12_345) % 2**31
            parts = (state >> 4) % 3, (state >> 8) % 3, (state >> 12) % 5, (state >> 16) % 2
            rows.append((parts[0], "xyz"[parts[1]], parts[2], parts[3], number))
        batches = []
        for start in range(0, len(rows), 700):
            a, b, event, known, n = zip(*rows[start : start + 700], strict=True)
            columns = [
                pa.array(n, pa.int64()),
                pa.array(known, TIME),
                pa.array([0] * len(n), pa.int32()),
                pa.array(b),
                pa.array(event, TIME),
                pa.array(a, pa.int64()),
            ]
            names = ["n", KNOWN_TIME, BUCKET, "b", EVENT_TIME, "a"]
            batches.append(pa.RecordBatch.from_arrays(columns, names=names))
        store.append("t", batches, token="a")
        expected = sorted(rows, key=lambda row: (row[1], row[0], row[2], row[3], row[4]))
        assert listed(store.read("t", ["n"]).column("n")) == [row[4] for row in expected]
        read = store.read("t", ["n", SEQUENCE])
        assert read.column("n").equals(read.column(SEQUENCE)), "sequence is the order of arrival"

    def test_sequences_grow_over_appends(self, store: OfflineStore) -> None:
        store.create(simple())
        for number in range(3):
            batches = [facts([(k, 1, float(number))]) for k in (3, 1, 2)]
            store.append("facts", batches, token=f"t{number}")
        read = store.read("facts", [SEQUENCE, "v"]).to_pylist()
        by_sequence = [row["v"] for row in sorted(read, key=lambda row: row[SEQUENCE])]
        assert by_sequence == [0.0, 0.0, 0.0, 1.0, 1.0, 1.0, 2.0, 2.0, 2.0]
        assert len({row[SEQUENCE] for row in read}) == 9
        assert store.info("facts").last_sequence == max(row[SEQUENCE] for row in read)

    def test_buckets_partition_the_rows(self, store: OfflineStore) -> None:
        store.create(simple())
        store.append("facts", [facts([(k, k, float(k)) for k in range(10)])], token="a")
        for bucket in range(BUCKETS):
            read = store.read("facts", ["k", BUCKET], bucket=bucket).to_pylist()
            assert [row["k"] for row in read] == [k for k in range(10) if k % BUCKETS == bucket]
            assert {row[BUCKET] for row in read} == {bucket}
            assert len(store.files("facts", bucket=bucket)) == 1
        assert sorted(listed(store.read("facts", ["k"]).column("k"))) == list(range(10))
        for bucket in (-1, BUCKETS):
            with pytest.raises(InputError):
                store.read("facts", ["k"], bucket=bucket)

    def test_columns_come_as_asked(self, store: OfflineStore) -> None:
        store.create(simple())
        store.append("facts", [facts([(1, 2, 3.0)])], token="a")
        read = store.read("facts", ["v", KNOWN_TIME, "k", EVENT_TIME])
        assert read.column_names == ["v", KNOWN_TIME, "k", EVENT_TIME]
        with pytest.raises(SchemaMismatchError, match="'k'"):
            store.read("facts", ["kk"])
        with pytest.raises(SchemaMismatchError):
            store.read("facts", ["k", "k"])

    # -- filters -----------------------------------------------------------------------------

    @pytest.mark.parametrize(
        "where",
        [
            Filter(event_from=40),
            Filter(event_to=40),
            Filter(event_from=13, event_to=13),
            Filter(event_from=14, event_to=13),
            Filter(known_from=2_000),
            Filter(known_to=1_999),
            Filter(event_from=10, event_to=90, known_from=1_500, known_to=2_500),
            Filter(event_from=-(2**62), event_to=2**62),
            Filter(event_from=10**17),
        ],
        ids=repr,
    )
    def test_time_bounds_are_closed_and_exact(self, store: OfflineStore, where: Filter) -> None:
        store.create(simple())
        rows = []
        for known in (1_000, 2_000, 3_000):
            events = [(k, k * 7 % 101, float(k)) for k in range(60)]
            rows += [(event, known) for _, event, _ in events]
            store.append("facts", [facts(events, known=known)], token=f"t{known}")
        read = store.read("facts", [EVENT_TIME, KNOWN_TIME], where=where)
        found = [tuple(listed(read.column(name).cast(pa.int64()))) for name in read.column_names]
        expected = [
            (event, known)
            for event, known in rows
            if (where.event_from is None or event >= where.event_from)
            and (where.event_to is None or event <= where.event_to)
            and (where.known_from is None or known >= where.known_from)
            and (where.known_to is None or known <= where.known_to)
        ]
        assert sorted(zip(*found, strict=True)) == sorted(expected)

    def test_a_key_filter_keeps_every_fact_of_its_keys(self, store: OfflineStore) -> None:
        store.create(simple())
        rows = [(k, n, float(k)) for n in range(50) for k in range(100)]
        store.append("facts", [facts(rows)], token="a")
        for wanted in ([], [5], [5, 6, 99, 12_345], list(range(100))):
            keys = pa.table({"k": pa.array(wanted, pa.int64())})
            read = store.read("facts", ["v"], where=Filter(keys=keys))
            counts: dict[float, int] = {}
            for value in listed(read.column("v")):
                counts[value] = counts.get(value, 0) + 1
            assert all(counts[float(k)] == 50 for k in wanted if k < 100)
            assert read.num_rows <= len(rows)

    def test_a_filter_of_compound_keys_never_mixes_up_the_parts(self, store: OfflineStore) -> None:
        schema = _schema(a=pa.int64(), b=pa.string())
        store.create(TableSpec("t", schema, ("a", "b"), 1))
        pairs = [(1, "23"), (12, "3"), (1, "3"), (2, "23")]
        a, b = zip(*pairs, strict=True)
        ones = [pa.array([1] * 4, TIME), pa.array([1] * 4, TIME), pa.array([0] * 4, pa.int32())]
        names = ["a", "b", EVENT_TIME, KNOWN_TIME, BUCKET]
        batch = pa.RecordBatch.from_arrays([pa.array(a), pa.array(b), *ones], names=names)
        store.append("t", [batch], token="a")
        wanted = pa.table({"a": [1], "b": ["23"]})
        rows = store.read("t", ["a", "b"], where=Filter(keys=wanted)).to_pylist()
        assert {"a": 1, "b": "23"} in rows
        for wrong in (pa.table({"b": ["23"], "a": [1]}), pa.table({"a": ["1"], "b": ["23"]})):
            with pytest.raises(KeyTypeError):
                store.read("t", ["a"], where=Filter(keys=wrong))

    # -- appends -----------------------------------------------------------------------------

    def test_a_token_is_committed_once(self, store: OfflineStore) -> None:
        store.create(simple())
        assert store.committed("facts", "day:1.a-B_") is None
        first = store.append("facts", [facts([(1, 1, 1.0), (2, 1, 1.0)])], token="day:1.a-B_")
        assert (first.rows, first.repeated) == (2, False)

        def unread() -> Iterator[pa.RecordBatch]:
            raise AssertionError("a repeated append must not read its batches")
            yield

        with self.reopen(store) as again:
            for repeat in (
                again.append("facts", unread(), token="day:1.a-B_"),
                again.committed("facts", "day:1.a-B_"),
            ):
                assert repeat is not None
                assert (repeat.snapshot, repeat.rows, repeat.repeated) == (first.snapshot, 2, True)
            assert again.info("facts").rows == 2

    def test_an_empty_append_records_its_token(self, store: OfflineStore) -> None:
        store.create(simple())
        commit = store.append("facts", [], token="nothing")
        assert commit.rows == 0
        empty = facts([])
        assert store.append("facts", [empty, empty], token="nothing2").rows == 0
        again = store.committed("facts", "nothing")
        assert again is not None
        assert again.snapshot == commit.snapshot
        assert store.read("facts", ["k"], snapshot=commit.snapshot).num_rows == 0
        store.append("facts", [facts([(1, 1, 1.0)])], token="some")
        assert store.read("facts", ["k"]).num_rows == 1

    @pytest.mark.parametrize("token", ["", "a b", "a/b", "é", "x" * 129, "a\n"])
    def test_tokens_are_checked(self, store: OfflineStore, token: str) -> None:
        store.create(simple())
        with pytest.raises(InvalidNameError):
            store.append("facts", [], token=token)

    def test_batches_of_another_shape_are_refused_whole(self, store: OfflineStore) -> None:
        store.create(simple())
        good = facts([(1, 1, 1.0)])
        names = good.schema.names
        null_key = good.set_column(names.index("k"), "k", pa.array([None], pa.int64()))
        null_time = good.set_column(1, EVENT_TIME, pa.array([None], TIME))
        wide = good.append_column("w", pa.array([1]))
        narrow = good.drop_columns(["v"])
        text = good.set_column(names.index("v"), "v", pa.array(["1"]))
        naive = good.set_column(1, EVENT_TIME, pa.array([1], pa.timestamp("us")))
        outside = good.set_column(3, BUCKET, pa.array([BUCKETS], pa.int32()))
        negative = good.set_column(3, BUCKET, pa.array([-1], pa.int32()))
        for number, bad in enumerate(
            (null_key, null_time, wide, narrow, text, naive, outside, negative)
        ):
            with pytest.raises(SchemaMismatchError):
                store.append("facts", [good, bad], token=f"bad{number}")
            assert store.committed("facts", f"bad{number}") is None
        assert store.info("facts").snapshot is None
        assert store.files("facts") == []

    def test_an_error_in_the_callers_iterator_is_the_callers(self, store: OfflineStore) -> None:
        store.create(simple())

        def failing() -> Iterator[pa.RecordBatch]:
            yield facts([(1, 1, 1.0)])
            raise FileNotFoundError("the caller's own")

        with pytest.raises(FileNotFoundError, match="the caller's own"):
            store.append("facts", failing(), token="a")
        assert store.info("facts").rows == 0

    def test_progress_counts_every_row(self, store: OfflineStore) -> None:
        store.create(simple())
        seen: list[int] = []
        rows = [(k, 1, 1.0) for k in range(1_000)]
        store.append("facts", [facts(rows)], token="a", progress=seen.append)
        assert sum(seen) == 1_000
        assert min(seen) > 0

    def test_an_append_that_was_overtaken_comes_after(self, store: OfflineStore) -> None:
        """Also where the table was empty when it began, and however often it is overtaken."""
        store.create(simple())
        told: list[int] = []
        with self.reopen(store) as other:

            def overtaken() -> Iterator[pa.RecordBatch]:
                yield facts([(1, 1, 1.0), (2, 1, 1.0)])
                other.append("facts", [facts([(3, 2, 2.0)])], token="fast")
                yield facts([(1, 3, 3.0)])

            def again(rows: int) -> None:
                told.append(rows)
                other.append("facts", [facts([(4, len(told), 4.0)])])

            commit = store.append("facts", overtaken(), token="slow", progress=again)
        assert (commit.rows, commit.repeated) == (3, False)
        assert sum(told) == 3
        read = store.read("facts", ["k", "v", SEQUENCE]).to_pylist()
        order = [row["v"] for row in sorted(read, key=lambda row: row[SEQUENCE])]
        assert order == [2.0, *[4.0] * len(told), 1.0, 1.0, 3.0]
        assert len({row[SEQUENCE] for row in read}) == len(read)
        assert store.info("facts").last_sequence == max(row[SEQUENCE] for row in read)
        store.append("facts", [facts([(9, 9, 9.0)])])
        last = max(store.read("facts", ["v", SEQUENCE]).to_pylist(), key=lambda r: r[SEQUENCE])
        assert last["v"] == 9.0

    def test_an_overtaken_append_of_a_token_that_was_committed_is_a_repetition(
        self, store: OfflineStore
    ) -> None:
        store.create(simple())
        with self.reopen(store) as other:

            def overtaken(rows: int) -> None:
                other.append("facts", [facts([(1, 1, 1.0)])], token="same")

            commit = store.append("facts", [facts([(1, 1, 1.0)])], token="same", progress=overtaken)
        assert commit.repeated
        assert commit == store.committed("facts", "same")
        assert listed(store.read("facts", ["v"]).column("v")) == [1.0]

    def test_appends_without_a_token_are_never_repetitions(self, store: OfflineStore) -> None:
        store.create(simple())
        for _ in range(2):
            commit = store.append("facts", [facts([(1, 1, 1.0)])])
            assert (commit.token, commit.rows, commit.repeated) == (None, 1, False)
        assert store.info("facts").rows == 2

    def test_many_writers_lose_nothing(self, store: OfflineStore) -> None:
        store.create(simple())
        failures: list[BaseException] = []

        def write(writer: int) -> None:
            try:
                with self.reopen(store) as own:
                    for number in range(3):
                        rows = [(writer, number, float(number))]
                        _append_until_done(own, facts(rows), f"w{writer}-{number}")
            except BaseException as error:
                failures.append(error)
                raise

        threads = [threading.Thread(target=write, args=(n,)) for n in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert not failures
        read = store.read("facts", ["k", "v", SEQUENCE]).to_pylist()
        assert sorted((row["k"], row["v"]) for row in read) == [
            (k, float(n)) for k in range(4) for n in range(3)
        ]
        order = sorted(read, key=lambda row: row[SEQUENCE])
        assert len({row[SEQUENCE] for row in read}) == 12
        for k in range(4):
            assert [row["v"] for row in order if row["k"] == k] == [0.0, 1.0, 2.0]
        assert store.info("facts").snapshot_number >= 12

    # -- appends in two halves ---------------------------------------------------------------

    def test_two_halves_make_an_append(self, store: OfflineStore) -> None:
        """Files of several writers, told of as plain data; nobody sees them before the commit."""
        store.create(simple())
        store.append("facts", [facts([(7, 1, 7.0)])])
        told: list[int] = []
        with self.reopen(store) as other:
            parts = [
                store.write_files("facts", [facts([(1, 1, 1.0), (2, 1, 2.0)])], token="t", first=1),
                other.write_files(
                    "facts", iter([facts([(1, 1, 3.0)])]), token="t", first=9, progress=told.append
                ),
                other.write_files("facts", [], token="t", first=20),
            ]
            assert [(p.table, p.rows, p.first, p.end) for p in parts] == [
                ("facts", 2, 1, 3), ("facts", 1, 9, 10), ("facts", 0, 20, 20),
            ]  # fmt: skip
            assert told == [1]
            assert store.info("facts").rows == 1
            assert len(store.files("facts")) == 1
            travelled = [
                Written(**json.loads(json.dumps(dataclasses.asdict(part)))) for part in parts
            ]
            commit = store.commit_files("facts", travelled, token="t")
            assert (commit.rows, commit.token, commit.repeated) == (3, "t", False)
            assert other.committed("facts", "t") == dataclasses.replace(commit, repeated=True)
        read = store.read("facts", ["k", "v", SEQUENCE, BUCKET]).sort_by(SEQUENCE)
        assert bits(read) == bits(
            pa.table({"k": [7, 1, 2, 1], "v": [7.0, 1.0, 2.0, 3.0], SEQUENCE: [0, 1, 2, 9],
                      BUCKET: [3, 1, 2, 1]})
        )  # fmt: skip
        assert len(self.read_raw(store, "facts")) == 4
        store.append("facts", [facts([(1, 1, 8.0)])])
        assert store.info("facts").last_sequence == 20

    def test_numbered_facts_have_their_numbers(self, store: OfflineStore) -> None:
        store.create(simple())

        def numbered(numbers: list[int], values: list[float]) -> pa.RecordBatch:
            batch = facts([(1, 5, value) for value in values])
            column = pa.array(numbers, pa.int64())
            return pa.RecordBatch.from_arrays(
                [column, *batch.columns], [SEQUENCE, *batch.schema.names]
            )

        parts = [
            store.write_files("facts", [numbered(*given)], token="t", first=100, numbered=True)
            for given in (([3, 0], [3.0, 0.0]), ([2, 1], [2.0, 1.0]))
        ]
        assert [(p.first, p.end) for p in parts] == [(100, 104), (100, 103)]
        store.commit_files("facts", parts, token="t")
        read = store.read("facts", ["v", SEQUENCE], bucket=1)
        runs = [[0.0, 3.0], [1.0, 2.0]]  # each file is sorted
        assert listed(read.column("v")) in (runs[0] + runs[1], runs[1] + runs[0])
        assert listed(read.column(SEQUENCE)) == [100 + v for v in listed(read.column("v"))]
        for batch, is_numbered in ((facts([(1, 5, 1.0)]), True), (numbered([0], [1.0]), False)):
            with pytest.raises(SchemaMismatchError, match=SEQUENCE):
                store.write_files("facts", [batch], token="u", first=200, numbered=is_numbered)
        with pytest.raises(SchemaMismatchError, match=SEQUENCE):
            store.write_files("facts", [numbered([-1], [1.0])], token="u", first=9, numbered=True)
        with pytest.raises(InputError):
            store.write_files("facts", [], token="u", first=-1)

    def test_files_are_committed_once(self, store: OfflineStore) -> None:
        """Also by the call whose answer was lost, and by another that did the same work."""
        store.create(simple())
        part = store.write_files("facts", [facts([(1, 1, 1.0)])], token="t", first=0)
        twin = store.write_files("facts", [facts([(1, 1, 1.0)])], token="t", first=0)
        done = store.commit_files("facts", [part], token="t")
        for again in (part, twin):
            repeated = store.commit_files("facts", [again], token="t")
            assert repeated == dataclasses.replace(done, repeated=True)
        assert listed(store.read("facts", ["v"]).column("v")) == [1.0]
        assert len(self.read_raw(store, "facts")) == 1
        assert store.append("facts", [facts([(9, 9, 9.0)])], token="t").repeated
        store.create(simple("other"))
        with pytest.raises(InputError, match="facts"):
            store.commit_files("other", [part], token="u")

    def test_an_empty_commit_of_files_records_its_token(self, store: OfflineStore) -> None:
        store.create(simple())
        assert store.commit_files("facts", [], token="t").rows == 0
        assert store.committed("facts", "t") is not None
        store.append("facts", [facts([(1, 1, 1.0)])])
        assert store.info("facts").last_sequence == 0

    def test_files_that_were_overtaken_are_refused(self, store: OfflineStore) -> None:
        store.create(simple())
        part = store.write_files("facts", [facts([(1, 1, 1.0)])], token="t", first=0)
        store.append("facts", [facts([(2, 1, 2.0)])])
        with pytest.raises(ConflictError):
            store.commit_files("facts", [part], token="t")
        assert store.committed("facts", "t") is None
        ahead = store.info("facts").last_sequence + 100
        part = store.write_files("facts", [facts([(1, 1, 1.0)])], token="t", first=ahead)
        store.append("facts", [facts([(2, 1, 3.0)])])  # still before it
        store.commit_files("facts", [part], token="t")
        read = store.read("facts", ["v", SEQUENCE]).sort_by(SEQUENCE)
        assert listed(read.column("v")) == [2.0, 3.0, 1.0]

    def test_files_that_may_be_gone_are_refused(self, store: OfflineStore) -> None:
        """What nothing refers to is removed by an upkeep; a commit must not name it any more."""
        store.create(simple())
        for n in range(2):
            store.append("facts", [facts([(1, n, 1.0)])])
        part = store.write_files("facts", [facts([(1, 9, 9.0)])], token="t", first=10)
        store.compact("facts")
        with pytest.raises(ConflictError):
            store.commit_files("facts", [part], token="t")
        store.drop("facts")
        store.create(simple())
        with pytest.raises(ConflictError):
            store.commit_files("facts", [part], token="t")
        assert store.info("facts").rows == 0

    def test_notes_change_with_a_commit_of_files(self, store: OfflineStore) -> None:
        store.create(simple())
        part = store.write_files("facts", [facts([(1, 1, 1.0)])], token="t", first=0)
        with pytest.raises(NoteMismatchError):
            store.commit_files("facts", [part], token="t", expected={"n": "1"})
        store.commit_files("facts", [part], token="t", notes={"n": "1"}, expected={"n": None})
        assert store.info("facts").notes == {"n": "1"}
        assert listed(store.read("facts", ["v"]).column("v")) == [1.0]

    # -- notes -------------------------------------------------------------------------------

    def test_notes_change_with_an_append(self, store: OfflineStore) -> None:
        store.create(simple())
        first = store.append("facts", [facts([(1, 1, 1.0)])], notes={"log:a.0": "17", "b": ""})
        assert store.info("facts").notes == {"log:a.0": "17", "b": ""}
        text = '"ü\U0001f600\n\x00' + "x" * 8_000
        second = store.append("facts", [], notes={"log:a.0": text})
        store.append("facts", [facts([(2, 2, 2.0)])], token="a")
        with self.reopen(store) as again:
            info = again.info("facts")
            assert info.notes == {"log:a.0": text, "b": ""}
            assert again.info("facts", snapshot=info.snapshot).notes == info.notes
            for earlier in (first, second):
                assert again.info("facts", snapshot=earlier.snapshot).notes is None

    @pytest.mark.parametrize(
        ("notes", "error"),
        [
            ({"a b": ""}, InvalidNameError),
            ({"": ""}, InvalidNameError),
            ({"x" * 129: ""}, InvalidNameError),
            ({"a/b": ""}, InvalidNameError),
            ({"a": "ü" * 4_097}, LimitError),
            ({"a": "\ud800"}, InputError),
        ],
        ids=["space", "empty", "long", "slash", "large", "surrogate"],
    )
    def test_notes_are_checked(
        self, store: OfflineStore, notes: dict[str, str], error: type[Exception]
    ) -> None:
        store.create(simple())
        with pytest.raises(error):
            store.append("facts", [facts([(1, 1, 1.0)])], notes={"good": "1", **notes})
        if error is InvalidNameError:
            with pytest.raises(error):
                store.append("facts", [facts([(1, 1, 1.0)])], expected=dict.fromkeys(notes))
        assert (store.info("facts").snapshot, store.info("facts").notes) == (None, {})

    @pytest.mark.parametrize(
        ("expected", "found", "wrong"),
        [
            ({"n": "2"}, "1", "2"),
            ({"n": None}, "1", None),
            ({"other": None, "n": ""}, "1", ""),
            ({"n": "1", "other": "1"}, None, "1"),
        ],
    )
    def test_a_note_that_is_not_as_expected_keeps_facts_out(
        self,
        store: OfflineStore,
        expected: dict[str, str | None],
        found: str | None,
        wrong: str | None,
    ) -> None:
        store.create(simple())
        store.append("facts", [facts([(1, 1, 1.0)])], notes={"n": "1"}, expected={"n": None})
        before = store.info("facts")

        def unread() -> Iterator[pa.RecordBatch]:
            raise AssertionError("batches must not be read for nothing")
            yield

        with pytest.raises(NoteMismatchError, match="nothing was added") as raised:
            store.append("facts", unread(), notes={"n": "3"}, expected=expected)
        error = raised.value
        assert (error.found, error.expected) == (found, wrong)
        assert error.note in expected
        assert isinstance(error, ConflictError)
        assert not error.retryable
        assert store.info("facts") == before
        store.append("facts", [], notes={"n": "2"}, expected={"n": "1", "other": None})
        assert store.info("facts").notes == {"n": "2"}

    @pytest.mark.parametrize("when", ["while it reads", "before it commits"])
    @pytest.mark.parametrize("base", [None, "1"])
    def test_whoever_is_overtaken_at_a_note_adds_nothing(
        self, store: OfflineStore, when: str, base: str | None
    ) -> None:
        """Also at the very first commit, when there is no snapshot to be overtaken at."""
        store.create(simple())
        if base:
            store.append("facts", [], notes={"n": base})
        with self.reopen(store) as other:

            def move_on() -> None:
                batch = facts([(2, 2, 2.0)])
                other.append("facts", [batch], notes={"n": "theirs"}, expected={"n": base})

            def batches() -> Iterator[pa.RecordBatch]:
                yield facts([(1, 1, 1.0)])
                if when == "while it reads":
                    move_on()

            def progress(rows: int) -> None:
                if when == "before it commits":
                    move_on()

            with pytest.raises(NoteMismatchError) as raised:
                store.append(
                    "facts", batches(), notes={"n": "ours"}, expected={"n": base}, progress=progress
                )
        assert (raised.value.found, raised.value.expected) == ("theirs", base)
        assert listed(store.read("facts", ["k"]).column("k")) == [2]
        assert store.info("facts").notes == {"n": "theirs"}

    def test_an_append_overtaken_at_another_note_goes_on(self, store: OfflineStore) -> None:
        store.create(simple())
        with self.reopen(store) as other:

            def overtaken(rows: int) -> None:
                other.append("facts", [facts([(2, 2, 2.0)])], notes={"b": "1"})

            store.append(
                "facts", [facts([(1, 1, 1.0)])], notes={"a": "1"}, expected={"a": None},
                progress=overtaken,
            )  # fmt: skip
        assert store.info("facts").notes == {"a": "1", "b": "1"}
        assert sorted(listed(store.read("facts", ["k"]).column("k"))) == [1, 2]

    def test_a_token_that_is_there_is_not_compared_with_notes(self, store: OfflineStore) -> None:
        """Whoever never heard of its commit repeats it after the note has moved with it."""
        store.create(simple())
        batch = facts([(1, 1, 1.0)])
        for repeated in (False, True):
            commit = store.append(
                "facts", [batch], token="t", notes={"n": "1"}, expected={"n": None}
            )
            assert commit.repeated == repeated
        assert store.info("facts").rows == 1

    def test_of_writers_at_one_note_one_gets_on(self, store: OfflineStore) -> None:
        store.create(simple())
        rounds, writers = 5, 3
        barrier = threading.Barrier(writers)
        won: list[tuple[int, int]] = []
        lost: list[tuple[int, int]] = []

        def write(writer: int) -> None:
            with self.reopen(store) as own:
                for number in range(rounds):
                    barrier.wait(60)
                    rows = [(writer, number, float(number))]
                    try:
                        own.append(
                            "facts", [facts(rows)], notes={"n": f"{number}"},
                            expected={"n": f"{number - 1}" if number else None},
                        )  # fmt: skip
                        won.append((writer, number))
                    except NoteMismatchError:
                        lost.append((writer, number))

        threads = [threading.Thread(target=write, args=(n,)) for n in range(writers)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(number for _, number in won) == list(range(rounds))
        assert len(lost) == rounds * (writers - 1)
        read = store.read("facts", ["k", "v"]).to_pylist()
        assert sorted((row["k"], row["v"]) for row in read) == sorted(won)

    # -- snapshots ---------------------------------------------------------------------------

    def test_snapshots_stay_as_they_were(self, store: OfflineStore) -> None:
        store.create(simple())
        commits = [
            store.append("facts", [facts([(n, n, float(n))])], token=f"t{n}") for n in range(4)
        ]
        numbers = []
        for n, commit in enumerate(commits):
            read = store.read("facts", ["k"], snapshot=commit.snapshot)
            assert sorted(listed(read.column("k"))) == list(range(n + 1))
            info = store.info("facts", snapshot=commit.snapshot)
            assert (info.rows, info.snapshot) == (n + 1, commit.snapshot)
            assert info.bytes > 0
            numbers.append(info.snapshot_number)
        assert numbers == sorted(set(numbers))
        assert numbers[0] > 0
        assert store.info("facts").snapshot == commits[-1].snapshot
        for call in (store.info, lambda t, snapshot: store.read(t, ["k"], snapshot=snapshot)):
            with pytest.raises(NotFoundError):
                call("facts", snapshot=12_345)

    def test_a_reader_sees_commits_of_others(self, store: OfflineStore) -> None:
        store.create(simple())
        assert store.read("facts", ["k"]).num_rows == 0
        with self.reopen(store) as other:
            other.append("facts", [facts([(1, 1, 1.0)])], token="a")
        assert store.read("facts", ["k"]).num_rows == 1
        assert store.committed("facts", "a") is not None

    def test_compact_changes_files_and_nothing_else(self, store: OfflineStore) -> None:
        store.create(simple())
        commits = []
        for n in range(5):
            rows = [(k, (k * n) % 3, float(n)) for k in range(20)]
            commits.append(store.append("facts", [facts(rows)], token=f"t{n}"))
        columns = ["k", EVENT_TIME, KNOWN_TIME, SEQUENCE, BUCKET, "v"]
        keys: Any = [(name, "ascending") for name in ("k", EVENT_TIME, SEQUENCE)]
        before = store.read("facts", columns).sort_by(keys)
        old = store.read("facts", columns, snapshot=commits[2].snapshot)
        progress: list[int] = []
        assert store.compact("facts", progress=progress.append) == 5 * BUCKETS
        assert sum(progress) == 100
        assert len(store.files("facts")) == BUCKETS
        for bucket in range(BUCKETS):
            run = store.read("facts", columns, bucket=bucket)
            assert run.equals(run.sort_by(keys)), "one sorted run"
        assert store.read("facts", columns).sort_by(keys).equals(before)
        assert store.read("facts", columns, snapshot=commits[2].snapshot).equals(old)
        with self.reopen(store) as again:
            assert again.read("facts", columns, snapshot=commits[2].snapshot).equals(old)
            assert again.read("facts", columns).sort_by(keys).equals(before)
            found = again.committed("facts", "t3")
            assert found is not None
            assert (found.snapshot, found.rows) == (commits[3].snapshot, 20)
        info = store.info("facts")
        assert (info.rows, info.files) == (100, BUCKETS)
        assert (
            info.snapshot_number
            > store.info("facts", snapshot=commits[-1].snapshot).snapshot_number
        )
        assert store.compact("facts") == 0
        store.append("facts", [facts([(1, 9, 9.0)])], token="later")
        assert max(listed(store.read("facts", [SEQUENCE]).column(SEQUENCE))) == 100

    @pytest.mark.parametrize("small", [False, True])
    def test_compacting_and_appending_do_not_stop_each_other(
        self, store: OfflineStore, small: bool
    ) -> None:
        """Neither loses anything, and the notes are those of the last append."""
        store.create(simple())
        for n in range(6):
            rows = [(k, n, float(n)) for k in range(BUCKETS)]
            store.append("facts", [facts(rows)], notes={"n": f"{n}"})
        with self.reopen(store) as other:

            def append(rows: int) -> None:
                number = int((other.info("facts").notes or {})["n"])
                batch = facts([(k, 100 + number, 100.0) for k in range(BUCKETS)])
                other.append(
                    "facts", [batch], notes={"n": f"{number + 1}"}, expected={"n": f"{number}"}
                )

            assert store.compact("facts", small=small, progress=append) == 6 * BUCKETS
            assert store.info("facts").notes == {"n": f"{5 + BUCKETS}"}
            assert store.info("facts").rows == (6 + BUCKETS) * BUCKETS
            assert store.info("facts").files == BUCKETS * (1 + BUCKETS)
            left = BUCKETS * (2 if small else 1)  # six rows and four, in a bucket

            def compact(rows: int) -> None:
                other.compact("facts", small=small)

            batch = facts([(k, 1_000, 1_000.0) for k in range(BUCKETS)])
            store.append("facts", [batch], expected={"n": f"{5 + BUCKETS}"}, progress=compact)
        assert store.info("facts").files == left + BUCKETS
        read = store.read("facts", ["k", "v", SEQUENCE]).to_pylist()
        order = [row["v"] for row in sorted(read, key=lambda row: row[SEQUENCE])]
        appended = [*(float(n) for n in range(6)), *[100.0] * BUCKETS, 1_000.0]
        assert order == [value for value in appended for _ in range(BUCKETS)]
        assert len({row[SEQUENCE] for row in read}) == len(read)
        assert len(self.read_raw(store, "facts")) == len(read)

    def test_small_files_are_merged_now_and_then(self, store: OfflineStore) -> None:
        """There are never many, and no row is written again often."""
        store.create(simple())
        commits, rewritten = 60, 0

        def count(rows: int) -> None:
            nonlocal rewritten
            rewritten += rows

        rows, snapshots = 0, []
        for n in range(commits):
            batch = [(k, n, float(n)) for k in range(BUCKETS + n % 3)]
            rows += len(batch)
            commit = store.append("facts", [facts(batch)], notes={"n": f"{n}"})
            snapshots.append((commit.snapshot, rows))
            store.compact("facts", small=True, progress=count)
            for bucket in range(BUCKETS):
                inside = store.read("facts", ["k"], bucket=bucket).num_rows
                assert len(store.files("facts", bucket=bucket)) <= 4 + math.log2(inside)
        assert commits < rewritten <= rows * math.log2(rows / BUCKETS + 2)
        info = store.info("facts")
        assert (info.rows, info.last_sequence, info.notes) == (rows, rows - 1, {"n": "59"})
        read = store.read("facts", ["v", SEQUENCE]).to_pylist()
        order = sorted(read, key=lambda row: row[SEQUENCE])
        assert [row[SEQUENCE] for row in order] == list(range(rows))
        assert [row["v"] for row in order] == sorted(row["v"] for row in read)
        keys: Any = [(name, "ascending") for name in ("k", EVENT_TIME, SEQUENCE)]
        slices = store.scan("facts", ["k", EVENT_TIME, SEQUENCE], bucket=0)
        assert sum(map(len, slices)) == store.read("facts", ["k"], bucket=0).num_rows
        for snapshot, there in snapshots[::10]:
            assert store.read("facts", ["k"], snapshot=snapshot).num_rows == there
        assert store.compact("facts") > 0
        run = store.read("facts", ["k", EVENT_TIME, SEQUENCE], bucket=0)
        assert run.equals(run.sort_by(keys))

    def test_few_or_large_files_are_left_alone(self, store: OfflineStore) -> None:
        store.create(simple())
        large = [(0, n, float(n)) for n in range(1_000)]
        store.append("facts", [facts(large)], token="large")
        (kept,) = store.files("facts")
        for n in range(3):
            store.append("facts", [facts([(0, n, float(n))])])
            before = store.info("facts")
            assert store.compact("facts", small=True) == 0
            assert store.info("facts") == before
        store.append("facts", [facts([(0, 9, 9.0)])])
        assert store.compact("facts", small=True) == 4
        assert kept in store.files("facts")
        assert store.info("facts").files == 2

    def test_expire_forgets_snapshots_and_nothing_else(self, store: OfflineStore) -> None:
        store.create(simple())
        assert store.expire("facts", before=2**62) == 0
        commits = []
        for n in range(8):
            rows = [(k, n, float(n)) for k in range(6)]
            token = f"t{n}" if n % 2 else None
            commits.append(store.append("facts", [facts(rows)], token=token, notes={"n": f"{n}"}))
            if n == 4:
                store.compact("facts")
        columns = ["k", EVENT_TIME, KNOWN_TIME, SEQUENCE, BUCKET, "v"]
        keys: Any = [(name, "ascending") for name in ("k", EVENT_TIME, SEQUENCE)]
        pinned, latest = commits[2].snapshot, store.info("facts")
        everything = store.read("facts", columns).sort_by(keys)
        old = store.read("facts", columns, snapshot=pinned).sort_by(keys)
        assert latest.committed_at is not None
        # Snapshots of eight appends and a compaction; the latest and the pinned one stay.
        forgotten = store.expire("facts", before=latest.committed_at + 1, keep=[pinned, 12_345])
        assert forgotten == 7
        for own in (store, self.reopen(store)):
            with own:
                info = own.info("facts")
                assert (info.rows, info.last_sequence) == (48, latest.last_sequence)
                assert info.notes == {"n": "7"}
                assert info.snapshot_number >= latest.snapshot_number
                assert own.read("facts", columns).sort_by(keys).equals(everything)
                assert own.read("facts", columns, snapshot=pinned).sort_by(keys).equals(old)
                assert own.info("facts", snapshot=pinned).rows == 18
                assert own.read("facts", ["k"], snapshot=latest.snapshot).num_rows == 48
                for n in (0, 1, 3, 4, 5, 6):
                    with pytest.raises(NotFoundError):
                        own.read("facts", ["k"], snapshot=commits[n].snapshot)
                    with pytest.raises(NotFoundError):
                        own.info("facts", snapshot=commits[n].snapshot)
                for n in (1, 3, 5, 7):
                    found = own.committed("facts", f"t{n}")
                    assert found == dataclasses.replace(commits[n], repeated=True)
                    assert own.append("facts", [], token=f"t{n}") == found
                assert own.committed("facts", "t0") is None
        with self.reopen(store) as again:
            again.append("facts", [facts([(1, 9, 9.0)])], expected={"n": "7"})
            assert max(listed(again.read("facts", [SEQUENCE]).column(SEQUENCE))) == 48

    def test_expire_goes_by_when_a_snapshot_was_replaced(self, store: OfflineStore) -> None:
        store.create(simple())
        commits = [store.append("facts", [facts([(n, n, float(n))])]) for n in range(6)]
        made = [store.info("facts", snapshot=c.snapshot).committed_at or 0 for c in commits]
        assert made == sorted(made)
        assert store.expire("facts", before=made[0]) == 0
        # The fourth was the latest still when the fifth was made, and so at every time before.
        expected = [n for n in range(5) if made[n + 1] < made[4]]
        assert store.expire("facts", before=made[4]) == len(expected)
        for n, commit in enumerate(commits):
            if n in expected:
                with pytest.raises(NotFoundError):
                    store.read("facts", ["k"], snapshot=commit.snapshot)
            else:
                assert store.read("facts", ["k"], snapshot=commit.snapshot).num_rows == n + 1
        assert store.expire("facts", before=made[4]) == 0

    def test_tokens_of_snapshots_long_forgotten_are_known(self, store: OfflineStore) -> None:
        """However often snapshots are expired."""
        store.create(simple())
        for n in range(6):
            store.append("facts", [facts([(n, n, float(n))] * n)], token=f"t{n}")
            store.expire("facts", before=2**62)
        with self.reopen(store) as again:
            for n in range(6):
                commit = again.append("facts", [facts([(n, n, float(n))])], token=f"t{n}")
                assert (commit.rows, commit.repeated) == (n, True)
            assert again.info("facts").rows == 15

    def test_expiring_while_others_write(self, store: OfflineStore) -> None:
        """Files that wait for their commit are not taken for files that nobody needs."""
        store.create(simple())
        for n in range(5):
            store.append("facts", [facts([(k, n, float(n)) for k in range(BUCKETS)])])
        with self.reopen(store) as other:

            def expire(rows: int) -> None:
                other.expire("facts", before=2**62)

            store.append("facts", [facts([(9, 9, 9.0)])], token="a", progress=expire)
            assert len(self.read_raw(store, "facts")) == 5 * BUCKETS + 1
            try:
                store.compact("facts", progress=expire)
            except ConflictError:
                assert store.info("facts").files > BUCKETS
            assert len(self.read_raw(store, "facts")) == 5 * BUCKETS + 1
        assert store.compact("facts") in (0, 5 * BUCKETS + 1)
        read = store.read("facts", ["v"])
        assert sorted(listed(read.column("v"))) == sorted([*range(5)] * BUCKETS + [9])

    def test_a_reader_at_a_forgotten_snapshot(self, store: OfflineStore) -> None:
        """It finishes, or learns that the snapshot was forgotten: not that files are lost."""
        store.create(simple())
        first = store.append("facts", [facts([(0, n, float(n)) for n in range(100)])])
        store.append("facts", [facts([(0, 0, 0.0)])])
        with self.reopen(store) as reader:
            assert reader.read("facts", ["k"], snapshot=first.snapshot).num_rows == 100
            slices = reader.scan("facts", ["k"], bucket=0, snapshot=first.snapshot)
            store.compact("facts")
            assert store.expire("facts", before=2**62) >= 1
            with contextlib.suppress(NotFoundError):
                assert reader.read("facts", ["k"], snapshot=first.snapshot).num_rows == 100
            with contextlib.suppress(NotFoundError):
                assert sum(table.num_rows for table in slices) == 100
            assert reader.read("facts", ["k"]).num_rows == 101

    def test_raw_files_hold_what_the_store_reads(self, store: OfflineStore) -> None:
        store.create(simple())
        store.append("facts", [facts([(k, -k, k / 3) for k in range(100)])], token="a")
        columns = ["k", EVENT_TIME, KNOWN_TIME, SEQUENCE, BUCKET, "v"]
        raw = self.read_raw(store, "facts").select(columns).sort_by("k")
        read = store.read("facts", columns).sort_by("k")
        assert raw.cast(read.schema).equals(read)
        assert listed(raw.column("v")) == [k / 3 for k in range(100)]

    def test_close_twice(self, store: OfflineStore) -> None:
        own = self.reopen(store)
        own.create(simple())
        own.close()
        own.close()


def _append_until_done(store: OfflineStore, batch: pa.RecordBatch, token: str) -> None:
    """Repeat on conflict. Each conflict means that another writer got on, so this ends."""
    while True:
        try:
            store.append("facts", [batch], token=token)
        except ConflictError:
            continue
        return

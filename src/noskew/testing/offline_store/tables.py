"""Tables, and what comes back from them."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest

from noskew.errors import (
    InputError,
    InvalidNameError,
    KeyTypeError,
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
)
from noskew.testing.offline_store.facts import (
    BUCKETS,
    MAX,
    TIME,
    VALUES,
    bits,
    bits_of,
    facts,
    listed,
    schema_of,
    simple,
)
from noskew.testing.offline_store.suite import OfflineStoreSuite


class TableTests(OfflineStoreSuite):
    """Specs, values, order and filters."""

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
            TableSpec(
                "facts",
                simple().schema.append(pa.field("w", pa.int8(), nullable=False)),
                ("k",),
                BUCKETS,
            ),
            TableSpec("facts", schema_of(k=pa.int64()), ("k",), BUCKETS),
            TableSpec("facts", schema_of(k=pa.int64(), v=pa.string()), ("k",), BUCKETS),
        ):
            with pytest.raises(SchemaMismatchError, match="facts"):
                store.create(other)

    def test_columns_that_rows_may_lack_are_added(self, store: OfflineStore) -> None:
        store.create(simple())
        before = store.append("facts", [facts([(1, 1, 1.0), (2, 1, 2.0)])], token="a").snapshot
        added = [pa.field("w", pa.string()), pa.field("b", pa.binary(3))]
        wider = TableSpec("facts", pa.schema([*simple().schema, *added]), ("k",), BUCKETS)
        store.read("facts", ["k"])  # a plan of the narrow table is at hand
        store.create(wider)
        store.create(wider)
        assert store.info("facts").spec == wider
        assert store.read("facts", ["w", "b"]).to_pylist() == [{"w": None, "b": None}] * 2
        rows = facts([(1, 5, 3.0, "x", b"123")], schema=wider.schema)
        store.append("facts", [rows], token="b")
        for _ in range(2):
            read = store.read("facts", ["v", "w", "b"]).sort_by("v").to_pylist()
            assert [row["w"] for row in read] == [None, None, "x"]
            assert [row["b"] for row in read] == [None, None, b"123"]
            store.compact("facts")
        assert store.read("facts", ["v", "w"], snapshot=before).column("w").null_count == 2
        slices = [t for n in range(BUCKETS) for t in store.scan("facts", ["v", "w"], bucket=n)]
        assert pa.concat_tables(slices).sort_by("v").column("w").to_pylist() == [None, None, "x"]
        with pytest.raises(SchemaMismatchError, match="facts"):
            store.create(simple())

    def test_tables_are_listed_sorted_and_survive_reopening(self, store: OfflineStore) -> None:
        assert store.tables() == []
        for name in ("b", "a", "c_1"):
            store.create(simple(name))
        assert store.tables() == ["a", "b", "c_1"]
        assert [store.has(name) for name in ("a", "c_1", "c")] == [True, True, False]
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
        store.create(TableSpec("facts", schema_of(k=pa.int64()), ("k",), 2))
        assert store.info("facts").rows == 0
        assert store.info("facts").notes == {}
        assert store.committed("facts", "a") is None
        assert store.read("facts", ["k"]).num_rows == 0

    # -- values ------------------------------------------------------------------------------

    @pytest.mark.parametrize("kind", list(VALUES))
    def test_values_come_back_bit_for_bit(self, store: OfflineStore, kind: str) -> None:
        arrow, values = VALUES[kind]
        schema = schema_of(k=pa.int64(), v=arrow)
        store.create(TableSpec("t", schema, ("k",), 1))
        rows = [(0, number, value) for number, value in enumerate(values)]
        store.append("t", [facts(rows, schema=schema, buckets=1)], token="a")
        with self.reopen(store) as again:
            read = again.read("t", ["v"], bucket=0)
            assert again.info("t").spec.schema == schema
        assert read.schema == schema_of(v=arrow)
        assert bits(read) == [("v", bits_of(listed(pa.array(values, arrow))))]
        raw = self.read_raw(store, "t")
        if not pa.types.is_decimal(arrow):
            column = raw.column("v")
            assert bits_of(listed(column.cast(arrow))) == bits(read)[0][1]

    @pytest.mark.parametrize(
        ("arrow", "keys"),
        [
            (pa.string(), ["", "a", "b", "ab", "é", "Z"]),
            (pa.binary(), [b"", b"\x00", b"\xff", b"a"]),
            (pa.int8(), [-128, 127, 0]),
            (pa.int64(), [-MAX - 1, MAX, 0]),
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
        store.create(TableSpec("t", schema_of(key=arrow), ("key",), 1))
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
        schema = schema_of(a=pa.int64(), b=pa.string(), n=pa.int64())
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
            Filter(known_from=2_000, sequence_from=70),
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
        columns = [tuple(listed(read.column(name).cast(pa.int64()))) for name in read.column_names]
        expected = [
            (event, known)
            for event, known in rows
            if (where.event_from is None or event >= where.event_from)
            and (where.event_to is None or event <= where.event_to)
            and (where.known_from is None or known >= where.known_from)
            and (where.known_to is None or known <= where.known_to)
        ]
        assert sorted(zip(*columns, strict=True)) == sorted(expected)

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
        schema = schema_of(a=pa.int64(), b=pa.string())
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

"""Records: typed values by kind and key, compared and swapped."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from noskew.errors import CorruptDataError, InputError
from noskew.registry.base import Registry
from noskew.registry.records.keys import DefinitionKey
from noskew.registry.records.kinds import (
    ASSIGNMENTS,
    CERTIFICATE,
    KINDS,
    MATERIALIZED,
    STREAM,
    UNCERTIFIED,
)
from noskew.registry.records.record import MAX_KEY, AnyRecord, Record
from noskew.registry.records.streaming import Assignments, StreamGeneration
from noskew.registry.records.views import Exemption, MaterializedUntil
from noskew.testing.registry.examples import RECORDS
from noskew.testing.registry.suite import AT, RegistrySuite


def _exemption(key: str, by: str = "ana", at: int = AT) -> Record[str, Exemption]:
    return Record(UNCERTIFIED, key, Exemption("delays", by), at)


class RecordTests(RegistrySuite):
    """Put, read, swap, delete."""

    def test_there_is_an_example_of_every_kind(self) -> None:
        assert [r.kind for r in RECORDS] == list(KINDS)

    @pytest.mark.parametrize("record", RECORDS, ids=lambda r: r.kind.name)
    def test_every_kind_comes_back_as_it_was(self, registry: Registry, record: AnyRecord) -> None:
        registry.put_record("flights", record)
        with self.opener(registry)() as other:
            read = other.record("flights", record.kind, record.key)
            assert read == record
            assert read is not None
            assert (type(read.key), type(read.value)) == (type(record.key), type(record.value))
            assert other.records("flights", record.kind) == [record]

    def test_a_record_takes_the_place_of_its_predecessor(self, registry: Registry) -> None:
        registry.put_record("flights", _exemption("h1"))
        registry.put_record("flights", _exemption("h0"))
        registry.put_record("flights", Record(CERTIFICATE, "h1", RECORDS[3].value, AT))
        latest = _exemption("h1", "ben", AT + 1)
        registry.put_record("flights", latest)
        assert registry.record("flights", UNCERTIFIED, "h1") == latest
        assert registry.records("flights", UNCERTIFIED) == [_exemption("h0"), latest]
        assert registry.record("flights", UNCERTIFIED, "h2") is None

    def test_several_records_are_kept_together_or_not_at_all(self, registry: Registry) -> None:
        registry.put_record("flights", _exemption("h0"))
        several = [_exemption("h0", "ben"), _exemption("h1"), _exemption("h2")]
        bad = Record(UNCERTIFIED, "h3", Exemption("delays", "\ud800"), AT)
        with pytest.raises(InputError, match=r"the record uncertified 'h3'"):
            registry.put_records("flights", [*several, bad])
        assert registry.records("flights", UNCERTIFIED) == [_exemption("h0")]
        registry.put_records("flights", several)
        assert registry.records("flights", UNCERTIFIED) == several
        registry.put_records("flights", [])

    def test_records_come_in_the_order_of_their_keys(self, registry: Registry) -> None:
        keys = ["b", "A", "a", "ä", "B", "a:1", "a_1", "\U0001f600"]
        for key in keys:
            registry.put_record("flights", _exemption(key))
        assert [r.key for r in registry.records("flights", UNCERTIFIED)] == sorted(keys)

    def test_a_forgotten_record_is_gone_and_others_stay(self, registry: Registry) -> None:
        certificate = Record(CERTIFICATE, "k", RECORDS[3].value, AT)
        for project in ("a", "b"):
            for record in (_exemption("k"), _exemption("other"), certificate):
                registry.put_record(project, record)
        for _ in range(2):  # an absent one is skipped
            registry.delete_record("a", UNCERTIFIED, "k")
        assert registry.record("a", UNCERTIFIED, "k") is None
        assert registry.records("a", UNCERTIFIED) == [_exemption("other")]
        assert registry.record("a", CERTIFICATE, "k") == certificate
        assert registry.record("b", UNCERTIFIED, "k") == _exemption("k")

    # ---------------------------------------------------------------- swaps

    def test_a_record_is_swapped_only_for_the_one_that_is_expected(
        self, registry: Registry
    ) -> None:
        def swap(value: Assignments, expected: Assignments | None) -> bool:
            record = Record(ASSIGNMENTS, "departures", value, AT)
            return registry.swap_record("flights", record, expected=expected)

        first = Assignments({"a": 1, "b": 2}, {0: "a", 10: "b", 2: "a"})
        second = Assignments({"b": 3}, {0: "b"})
        assert not swap(second, first), "there is none yet"
        assert not swap(second, Assignments()), "an empty one is not none"
        assert swap(first, None)
        assert not swap(second, None)
        assert not swap(second, Assignments({"a": 1}))
        assert swap(second, Assignments({"b": 2, "a": 1}, {2: "a", 10: "b", 0: "a"}))
        record = registry.record("flights", ASSIGNMENTS, "departures")
        assert record is not None
        assert record.value == second
        registry.delete_record("flights", ASSIGNMENTS, "departures")
        assert not swap(first, second)
        assert swap(first, None)

    def test_a_record_of_before_a_field_was_new_can_be_swapped(self, registry: Registry) -> None:
        """It is not written as the same value is today."""
        key = DefinitionKey("delays:h")
        text = '{"history": 7, "generation": 3, "log": "l"}'
        self.write_raw_record(registry, "flights", STREAM.name, key, text)
        before = StreamGeneration(3, "l", 7)
        record = registry.record("flights", STREAM, key)
        assert record is not None
        assert record.value == before
        after = Record(STREAM, key, StreamGeneration(4, "l", 9), AT)
        other = StreamGeneration(3, "l", 8)
        assert not registry.swap_record("flights", after, expected=other)
        assert registry.swap_record("flights", after, expected=before)
        assert not registry.swap_record("flights", after, expected=before)
        assert registry.record("flights", STREAM, key) == after

    # ---------------------------------------------------------------- what is refused

    @pytest.mark.parametrize(
        "key", ["", "a" * (MAX_KEY + 1), "a\0", "\ud800"], ids=["empty", "long", "nul", "surrogate"]
    )
    def test_keys_that_cannot_be_stored(self, registry: Registry, key: str) -> None:
        record = _exemption(key)
        with pytest.raises(InputError, match="key"):
            registry.put_record("flights", record)
        with pytest.raises(InputError, match="key"):
            registry.swap_record("flights", record, expected=None)
        assert registry.records("flights", UNCERTIFIED) == []

    @pytest.mark.parametrize(
        "value",
        [Exemption("delays", "\ud800"), Exemption("delays", 5), {"name": "delays"}, None],  # type: ignore[arg-type]
        ids=["surrogate", "a number", "a part", "nothing"],
    )
    def test_values_that_could_not_be_read_back(self, registry: Registry, value: Any) -> None:
        registry.put_record("flights", _exemption("h"))
        with pytest.raises(InputError, match=r"the record uncertified 'h'"):
            registry.put_record("flights", Record(UNCERTIFIED, "h", value, AT))
        assert registry.record("flights", UNCERTIFIED, "h") == _exemption("h")

    # ---------------------------------------------------------------- damage

    @pytest.mark.parametrize(
        "text",
        ["", "{", "[]", "null", '{"until": 5}', '{"until": "5", "sequence": 1, "number": 1}'],
    )
    def test_a_record_of_another_shape_is_named(self, registry: Registry, text: str) -> None:
        good = Record(MATERIALIZED, DefinitionKey("a:h"), MaterializedUntil(5, 1, 1), AT)
        bad = DefinitionKey("b:h")
        registry.put_record("flights", good)
        self.write_raw_record(registry, "flights", MATERIALIZED.name, bad, text)
        named = r"record materialized 'b:h' is damaged"
        with pytest.raises(CorruptDataError, match=named):
            registry.record("flights", MATERIALIZED, bad)
        with pytest.raises(CorruptDataError, match=named):
            registry.records("flights", MATERIALIZED)
        new = Record(MATERIALIZED, bad, MaterializedUntil(6, 1, 1), AT)
        with pytest.raises(CorruptDataError, match=named):
            registry.swap_record("flights", new, expected=MaterializedUntil(5, 1, 1))
        assert registry.record("flights", MATERIALIZED, good.key) == good
        registry.put_record("flights", new)
        assert registry.record("flights", MATERIALIZED, bad) == new

    def test_a_key_of_another_shape_is_named(self, registry: Registry) -> None:
        text = '{"until": 5, "sequence": 1, "number": 1}'
        self.write_raw_record(registry, "flights", MATERIALIZED.name, "delays", text)
        with pytest.raises(CorruptDataError, match="record materialized 'delays' is damaged"):
            registry.records("flights", MATERIALIZED)

    def test_a_field_of_a_later_version_is_skipped(self, registry: Registry) -> None:
        """Where a value says nothing without it, its kind refuses the record instead."""
        text = '{"until": 5, "sequence": 1, "number": 1, "region": "eu"}'
        key = DefinitionKey("delays:h")
        self.write_raw_record(registry, "flights", MATERIALIZED.name, key, text)
        record = registry.record("flights", MATERIALIZED, key)
        assert record is not None
        assert record.value == MaterializedUntil(5, 1, 1)
        strict = '{"generation": 3, "log": "l", "history": 7, "region": "eu"}'
        self.write_raw_record(registry, "flights", STREAM.name, key, strict)
        with pytest.raises(CorruptDataError, match="record stream 'delays:h' is damaged"):
            registry.record("flights", STREAM, key)

    def test_values_are_stored_as_sorted_json(self, registry: Registry) -> None:
        """Other versions of noskew read it, and write the same for the same value."""
        registry.put_record("flights", RECORDS[2])
        text = self.read_raw_record(registry, "flights", ASSIGNMENTS.name, RECORDS[2].key)
        assert text == '{"owners":{"0":"host-1-a","10":"host-1-a"},"workers":{"host-1-a":3}}'
        assert msgspec.json.decode(text, type=Assignments) == RECORDS[2].value

"""Times that the data has as numbers: a source's schema says their unit."""

from __future__ import annotations

import pytest

import noskew as ns
from noskew.definitions.source import Source
from noskew.errors import DefinitionError
from noskew.types import DType, Schema


def source(kind: str) -> ns.Source:
    return ns.Source("s", {"uid": int, "at": kind}, event_time="at")


@pytest.mark.parametrize("text", ["timestamp[ms]", "Timestamp [ ms ]", "datetime[ms]"])
def test_it_is_a_timestamp_that_remembers_its_unit(text: str) -> None:
    schema = source(text).schema
    assert schema["at"] == DType("timestamp")
    assert schema.arrow == source("timestamp").schema.arrow
    assert schema.units == {"at": "ms"}
    assert schema.texts()["at"] == "timestamp[ms]"
    assert schema.select(["at"]).units == {"at": "ms"}


def test_it_survives_the_registry() -> None:
    declared = source("timestamp[ns]")
    again = Source.from_dict(declared.to_dict())
    assert (again, again.schema.units) == (declared, {"at": "ns"})
    assert Schema(declared.schema, has_units=True) == declared.schema


def test_another_unit_is_another_definition() -> None:
    """The same numbers are other times then, so rows that were read so must not be mixed."""
    kinds = ("timestamp", "timestamp[s]", "timestamp[ms]")
    identities = [source(kind).identity() for kind in kinds]
    assert len({str(i) for i in identities}) == 3
    assert identities[0]["schema"] == [["uid", "int64"], ["at", "timestamp"]]
    assert source("timestamp[s]") != source("timestamp[ms]")


def test_only_data_has_units() -> None:
    with pytest.raises(DefinitionError, match=r"timestamp\[ms\]"):
        ns.Entity("user", {"since": "timestamp[ms]"})
    with pytest.raises(DefinitionError, match=r"timestamp\[h\]"):
        source("timestamp[h]")

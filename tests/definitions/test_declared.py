"""A definition states its fields once; its constructor, equality and freezing come of them."""

from __future__ import annotations

import copy
import dataclasses
import inspect
from collections.abc import Callable, Mapping
from typing import Any

import pytest

import noskew as ns
from noskew.definitions.declared import Converted, Declared, option
from noskew.definitions.described import Described

USER = ns.Entity("user", {"user_id": int}, tags={"a": "b"})
EVENTS = ns.Source("events", {"user_id": int, "at": "timestamp", "x": float}, event_time="at")
VIEW = ns.FeatureView("view", entity=USER, source=EVENTS, features=["x"], hop="30s")
SERVICE = ns.FeatureService("service", [VIEW])


def _doubled(value: Any, given: int) -> int:
    del value
    return 2 * given


def _sum(value: Pair, given: int) -> int:
    return value.first + given


class Pair(Declared):
    """Two numbers; the second is converted after the first."""

    first: int = option(kw_only=False, convert=_doubled)
    _second: Converted[int, int] = option(default=1, alias="second", convert=_sum)
    note: str = "n"


def test_fields_are_converted_in_order_and_renamed() -> None:
    pair = Pair(5, second=3)
    assert (pair.first, pair._second, pair.note) == (10, 13, "n")
    parameters = [str(p) for p in inspect.signature(Pair).parameters.values()]
    assert parameters == ["first: 'int'", "second: 'int' = 1", "note: 'str' = 'n'"]


REFUSED: dict[str, tuple[Callable[..., Any], str]] = {
    "missing": (lambda: ns.Entity("e"), "missing a required argument: 'keys'"),  # type: ignore[call-arg]
    "unknown": (
        lambda: ns.Entity("e", {"k": int}, ownr="o"),  # type: ignore[call-arg]
        "unexpected keyword argument 'ownr'",
    ),
    "too many": (lambda: ns.Entity("e", {"k": int}, "d"), "too many positional"),  # type: ignore[misc]
    "twice": (lambda: ns.Entity("e", {"k": int}, name="f"), "multiple values"),  # type: ignore[misc]
    "kept name": (lambda: Pair(1, third=1), "unexpected keyword argument 'third'"),  # type: ignore[call-arg]
}


@pytest.mark.parametrize("name", REFUSED)
def test_wrong_arguments_are_refused_as_by_any_function(name: str) -> None:
    make, message = REFUSED[name]
    with pytest.raises(TypeError, match=rf"^(Entity|Pair)\(\) .*{message}"):
        make()


@pytest.mark.parametrize("item", [USER, EVENTS, VIEW, SERVICE])
def test_definitions_are_frozen_and_equal_by_their_fields(item: Described) -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        item.name = "other"  # type: ignore[misc]
    same = dataclasses.replace(item)
    assert same == item
    assert hash(same) == hash(item)
    other = dataclasses.replace(item, owner="other")
    assert other != item
    assert other.owner == "other"
    assert copy.deepcopy(item) == item
    assert item != item.name


def test_where_the_data_is_makes_no_source_another_one() -> None:
    assert dataclasses.replace(EVENTS, batch=ns.Parquet("data/")) == EVENTS


def test_tags_are_copied_and_may_be_none() -> None:
    tags = {"a": "b"}
    entity = ns.Entity("e", {"k": int}, tags=tags)
    tags["a"] = "c"
    assert entity.tags == {"a": "b"}
    assert ns.Entity("e", {"k": int}, tags=None).tags == {}  # type: ignore[arg-type]


@pytest.mark.parametrize("item", [USER, EVENTS, VIEW, SERVICE])
def test_documentation_is_part_of_the_document_and_not_of_the_identity(item: Described) -> None:
    documentation: Mapping[str, Any] = item.documentation()
    assert documentation.items() <= item.to_dict().items()
    assert not documentation.keys() & item.identity().keys()

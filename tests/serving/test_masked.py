"""Masked features: null and MASKED in every form of an answer, everything else as it was."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pyarrow as pa
import pytest

import noskew as ns
from noskew.errors import NotFoundError
from noskew.reading.reader import OnlineReader
from noskew.reading.response import OnlineResponse
from noskew.serving.http import feast
from noskew.serving.http.arrow_answer import ArrowAnswer
from noskew.serving.http.json_answer import JsonAnswer
from noskew.wire.arrow_answer import RemoteResponse
from tests.serving import shop


def sums(columns: Any) -> Any:
    return {"twice": columns["n_f64"] * 2, "thrice": columns["n_f64"] * 3}


SUMS = ns.OnDemand(
    "sums", sums, inputs=[shop.NUMBERS["n_f64"]], outputs={"twice": float, "thrice": float}
)
COMPUTED = ns.FeatureService("computed", [shop.NUMBERS["n_f64", "n_i64"], SUMS])
#: Services with rows of every kind, and the features of them that are masked.
MASKS = {
    "numbers": (ns.FeatureService("numbers_only", [shop.NUMBERS]), {"n_f64", "n_i8"}),
    "every type": (shop.EVERYTHING, {"f64", "text", "embedding", "price", "mean", "fresh"}),
    "all": (
        ns.FeatureService("all_of_them", [shop.NUMBERS]),
        {f"n_{n}" for n in shop.KINDS if n in ("f64", "f32", "i8", "i16", "i32", "i64")},
    ),
    "an input": (COMPUTED, {"n_f64"}),
    "an output": (COMPUTED, {"twice"}),
}


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ns.FeatureStore]:
    root: Path = tmp_path_factory.mktemp("masked")
    (root / "noskew.toml").write_text('project = "masked"\n[offline]\nbuckets = 1\n')
    with shop.filled(root, *{s.name: s for s, _ in MASKS.values()}.values()) as store:
        yield store


@pytest.fixture(params=[["a"], ["a", "nulls"], shop.ASKED * 2], ids=["one", "few", "many"])
def ids(request: pytest.FixtureRequest) -> list[Any]:
    return list(request.param)


@pytest.fixture(params=MASKS)
def read(
    request: pytest.FixtureRequest, store: ns.FeatureStore, ids: list[Any]
) -> tuple[OnlineReader, OnlineResponse, OnlineResponse, set[str]]:
    """The reader, what it answers whole and masked, and what is masked."""
    service, masked = MASKS[request.param]
    reader = store.reader(service.name)
    return (
        reader,
        reader.get({"id": ids}),
        reader.masking(frozenset(masked)).get({"id": ids}),
        masked,
    )


def same(one: Any, other: Any) -> bool:
    return repr(one) == repr(other)  # in which NaN equals NaN


def test_in_process(read: Any, ids: list[Any]) -> None:
    _, whole, answer, masked = read
    assert answer.feature_names == whole.feature_names
    values, statuses, table = answer.to_dict(), answer.statuses(), answer.to_arrow()
    arrays = answer.to_numpy()
    for name in whole.feature_names:
        if name in masked:
            assert values[name] == [None] * len(ids)
            assert statuses[name] == ["MASKED"] * len(ids)
            assert table.column(name).null_count == len(ids)
            assert not _given(arrays[name])
        else:
            assert same(values[name], whole.to_dict()[name])
            assert statuses[name] == whole.statuses()[name]
            assert same(arrays[name], whole.to_numpy()[name])
        assert table.schema.field(name) == whole.to_arrow().schema.field(name)
    assert answer.event_times() == whole.event_times()
    assert answer.versions() == whole.versions()


def _given(values: Any) -> bool:
    """Whether an array has a value."""
    if isinstance(values, np.ma.MaskedArray):
        return bool(values.count())
    if values.dtype == object:
        return any(v is not None for v in values)
    return not bool(np.isnan(values).all())


@pytest.mark.parametrize("full", [False, True])
def test_in_json(read: Any, ids: list[Any], full: bool) -> None:
    reader, whole, answer, masked = read
    encoder = JsonAnswer(reader.plan)  # the encoder of the service, masked or not
    body = orjson.loads(encoder.encode(answer, full=full))
    expected = orjson.loads(encoder.encode(whole, full=full))
    for name in masked:
        expected["features"][name] = [None] * len(ids)
        expected["statuses"][name] = "MASKED"
    assert body == expected


def test_in_arrow(read: Any, ids: list[Any]) -> None:
    reader, whole, answer, masked = read
    encoder = ArrowAnswer(reader.plan)
    remote = RemoteResponse(encoder.encode(answer), {"id": ids})
    unmasked = RemoteResponse(encoder.encode(whole), {"id": ids})
    assert shop.bits(remote.to_arrow()) == shop.bits(answer.to_arrow())
    assert remote.statuses() == answer.statuses()
    for name in set(remote.feature_names) - masked:
        one, other = (pa.table({name: r.to_arrow().column(name)}) for r in (remote, unmasked))
        assert shop.bits(one) == shop.bits(other)


def test_in_the_shape_of_feast(read: Any, ids: list[Any]) -> None:
    reader, whole, answer, masked = read
    body = orjson.loads(feast.encode_answer(answer, reader.plan, None))
    expected = orjson.loads(feast.encode_answer(whole, reader.plan, None))
    for name, result in zip(
        expected["metadata"]["feature_names"], expected["results"], strict=True
    ):
        if name in masked:
            result["values"] = [None] * len(ids)
            result["statuses"] = ["NULL_VALUE"] * len(ids)
    assert body == expected


def test_what_was_computed_is_kept_whole_for_the_audit(store: ns.FeatureStore) -> None:
    reader = store.reader("computed")
    answer = reader.masking(frozenset({"twice"})).get({"id": ["a"]})
    assert answer.outputs["sums"]["twice"].items() == [None]
    assert answer.computed["sums"]["twice"].to_pylist() == [3.0]


def test_a_masked_plan_is_made_once(store: ns.FeatureStore) -> None:
    reader = store.reader("computed")
    assert reader.masking(frozenset({"twice"})) is reader.masking(frozenset({"twice"}))
    assert reader.masking(frozenset()) is reader
    assert reader.plan.masked == {}


def test_only_features_of_the_service_can_be_masked(store: ns.FeatureStore) -> None:
    with pytest.raises(NotFoundError, match=r"no feature 'twyce' in service 'computed'.*'twice'"):
        store.reader("computed").masking(frozenset({"twyce"}))

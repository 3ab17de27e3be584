"""On-demand functions of every kind, served as in training: alone, together, over HTTP."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pyarrow as pa
import pytest

import noskew as ns
from noskew.errors import SchemaMismatchError, TransformError
from noskew.kernel.bits import differences
from noskew.serving.http.json_answer import JsonAnswer
from tests.serving import shop

_ASKED = {"weight": float, "count": "int64", "note": str, "when": "timestamp"}
#: Request fields of as many rows as there are items asked for, hard ones among them.
_GIVEN = {
    "weight": [1.0, float("nan"), None, -0.0, 2.5, 0.0, float("inf"), 1.0],
    "count": [1, 0, None, -(2**62), 7, 3, 2, 1],
    "note": ["x", "", None, "é", "ÄB", "a", "b", "x"],
    "when": [shop.NOON] * 7 + [None],
}


def scaled(columns: Any) -> Any:
    with np.errstate(all="ignore"):
        return {
            "scaled": columns["n_f64"] / columns["weight"],
            "doubled": columns["n_i16"].astype("int64") * 2,
        }


def told(n_i32: int | None, mean: float | None, note: str | None, when: Any) -> Any:
    day = None if when is None else f"{when:%A}"
    return {"told": f"{n_i32} {mean} {note} {day}", "has_mean": mean is not None}


SERVICE = ns.FeatureService(
    "every_kind",
    [
        shop.NUMBERS["n_f64"],
        ns.OnDemand(
            "arrays",
            scaled,
            inputs=[shop.NUMBERS["n_f64", "n_i16"]],
            request={"weight": float},
            outputs={"scaled": float, "doubled": "int64"},
        ),
        ns.OnDemand(
            "rows",
            ns.per_row(told),
            inputs=[shop.NUMBERS["n_i32"], shop.WINDOWS["mean"]],
            request={"note": str, "when": "timestamp"},
            outputs={"told": str, "has_mean": bool},
        ),
        ns.OnDemand(
            "sums",
            ns.expressions(
                {
                    "ratio": "n_f64 / weight",
                    "share": "round(events / (events + 3), 2)",
                    "capital": "upper(coalesce(note, text))",
                    "hours": "date_diff('hour', moment, \"when\")",
                    "price_of": "price * count - 1",
                    "aged": "fresh IS NULL AND n_i16 < 0",
                    "tomorrow": '"when" + INTERVAL 1 DAY',
                }
            ),
            inputs=[
                shop.NUMBERS["n_f64", "n_i16"],
                shop.WINDOWS["events"],
                shop.AGED["fresh"],
                shop.LATEST["text", "moment", "price"],
            ],
            request={"weight": float, "count": "int16", "note": str, "when": "timestamp"},
        ),
    ],
)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ns.FeatureStore]:
    root: Path = tmp_path_factory.mktemp("on-demand")
    (root / "noskew.toml").write_text('project = "shop"\n', encoding="utf-8")
    with shop.filled(root, SERVICE) as made:
        yield made


def _given(rows: list[int]) -> dict[str, list[Any]]:
    counts = {"count": [1, 0, None, -7, 7, 3, 2, 1]}
    fields = {"id": shop.ASKED, **_GIVEN, **counts}
    return {name: [values[j] for j in rows] for name, values in fields.items()}


def test_training_gives_what_is_served(store: ns.FeatureStore) -> None:
    every = list(range(len(shop.ASKED)))
    rows = pa.table({**_given(every), "event_timestamp": [shop.NOW] * len(every)})
    trained = store.get_historical_features(rows, SERVICE, known_at=shop.NOW).to_arrow()
    wanted = trained.select([c.name for c in SERVICE.columns])
    served = store.get_online_features(SERVICE, _given(every)).to_arrow()
    assert not differences(served, wanted)
    # Each alone, and from the end: a row is what it is in any company.
    for j in every:
        alone = store.get_online_features(SERVICE, _given([j])).to_arrow()
        assert not differences(alone, wanted.slice(j, 1))
    back = store.get_online_features(SERVICE, _given(every[::-1])).to_arrow()
    assert not differences(back, wanted.take(pa.array(every[::-1])))


def test_every_form_of_an_answer_says_the_same(store: ns.FeatureStore) -> None:
    reader = store.reader(SERVICE)
    for rows in ([0], [2], list(range(8)), []):
        answer = reader.get(_given(rows))
        table = answer.to_arrow()
        assert repr({n: v for n, v in answer.to_dict().items() if n in table.column_names}) == repr(
            table.to_pydict()
        )
        codes = answer.status_codes()
        for name, column in zip(table.column_names, table.columns, strict=True):
            values = answer.to_numpy()[name]
            assert len(values) == len(codes[name]) == len(rows)
            if name == "doubled":
                assert np.ma.filled(values, 0).tolist() == column.fill_null(0).to_pylist()
        body = orjson.loads(JsonAnswer(reader.plan).encode(answer, full=True))
        assert body["features"]["told"] == table.column("told").to_pylist()


def test_plain_rows_are_unpacked_for_functions_too(store: ns.FeatureStore) -> None:
    function = ns.OnDemand(
        "o",
        ns.expressions(
            {
                "a": "n_f64 * 2",
                "b": "n_f32 + 1",
                "c": "n_i8 + 1",
                "d": "n_i64 // 2",
            }
        ),
        inputs=[shop.NUMBERS],
    )
    service = ns.FeatureService("plain_rows", [function])
    ids = ["a", "strange", "a"]
    tenth = float(np.float32(0.1) + np.float32(1))
    wanted = {
        "id": ids,
        "a": [3.0, float("nan"), 3.0],
        "b": [tenth, float("-inf"), tenth],
        "c": [2, -127, 2],
        "d": [-2, ((1 << 63) - 1) // 2, -2],
    }
    assert repr(store.get_online_features(service, {"id": ids}).to_dict()) == repr(wanted)
    nulls = store.get_online_features(service, {"id": ["nulls"]}).to_dict()
    assert nulls == {"id": ["nulls"], **{name: [None] for name in "abcd"}}


WRONG: Mapping[str, tuple[dict[str, Any], str]] = {
    "a text for a number": ({"weight": ["heavy"]}, "'weight'.*expected float64"),
    "beyond the type": ({"count": [70_000]}, "'count'"),
    "half a letter": ({"note": ["\ud800"]}, "expected string"),
    "a time without an offset": ({"when": ["2024-05-01T12:00:00"]}, "has no offset"),
}


@pytest.mark.parametrize("name", WRONG)
def test_request_fields_of_another_type_are_refused(store: ns.FeatureStore, name: str) -> None:
    given, why = WRONG[name]
    with pytest.raises(SchemaMismatchError, match=why):
        store.get_online_features(SERVICE, _given([0]) | given).to_dict()


def test_request_fields_are_converted_as_in_training(store: ns.FeatureStore) -> None:
    texts = {"weight": [2], "count": [3.0], "when": ["2024-05-01T12:00:00Z"]}
    given = _given([0])
    answer = store.get_online_features(SERVICE, given | texts).to_dict()
    exact = {"weight": [2.0], "count": [3], "when": [shop.NOON]}
    wanted = store.get_online_features(SERVICE, given | exact).to_dict()
    assert {n: v for n, v in answer.items() if n not in given} == {
        n: v for n, v in wanted.items() if n not in given
    }


def test_an_expression_that_fails_says_where(store: ns.FeatureStore) -> None:
    function = ns.OnDemand(
        "o", ns.expressions({"next": "n_i64 + 1"}), inputs=[shop.NUMBERS["n_i64"]]
    )
    service = ns.FeatureService("overflowing", [function])
    with pytest.raises(TransformError, match="on-demand 'o', output 'next': overflow in addition"):
        store.get_online_features(service, {"id": ["strange"]}).to_dict()

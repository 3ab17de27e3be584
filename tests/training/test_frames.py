"""Rows that callers give, and frames that they get: nothing is lost, and errors are ours."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest

import noskew as ns
from noskew.errors import InputError, NoskewError
from noskew.training.frames import to_arrow

T = "2025-05-02T00:00:00Z"
LARGE = 2**53 + 1


@pytest.fixture
def store(tmp_path: Path) -> Iterator[ns.FeatureStore]:
    user = ns.Entity("user", {"uid": int})
    columns = {"uid": int, "ts": "timestamp", "n": int, "ok": bool}
    source = ns.Source("s", columns, event_time="ts", created="ts", stream=ns.LocalLog())
    view = ns.FeatureView("v", entity=user, source=source, features=["n", "ok"])
    with ns.FeatureStore(tmp_path, project="p") as store:
        store.apply([ns.FeatureService("svc", [view])], uncertified=True)
        rows = {"uid": [1], "ts": ["2025-05-01T00:00:00Z"], "n": [LARGE], "ok": [True]}
        store.ingest("s", rows)
        yield store


class TestMappings:
    """A list of mappings has the columns of all of them, whichever comes first."""

    @pytest.mark.parametrize("first", [0, 1])
    def test_training_rows(self, store: ns.FeatureStore, first: int) -> None:
        rows = [{"uid": 1, "event_timestamp": T}, {"uid": 2, "event_timestamp": T, "label": True}]
        made = store.get_historical_features([rows[first], rows[1 - first]], "svc").to_arrow()
        labels = dict(zip(made["uid"].to_pylist(), made["label"].to_pylist(), strict=True))
        assert labels == {1: None, 2: True}

    @pytest.mark.parametrize("first", [0, 1])
    def test_events(self, store: ns.FeatureStore, first: int) -> None:
        rows: list[dict[str, Any]] = [
            {"uid": 5, "ts": T, "ok": True},
            {"uid": 6, "ts": T, "n": 3, "ok": False},
        ]
        given = [rows[first], rows[1 - first]]
        store.push("s", given)
        (report,) = store.ingest("s", given)
        assert report.rows == 2

    def test_rows_that_are_none(self) -> None:
        with pytest.raises(InputError, match=r"expected mappings such as .* got 7"):
            to_arrow([{"a": 1}, 7])
        assert to_arrow([]).num_columns == 0

    def test_many_names_of_few_rows_each_are_refused_before_anything_is_made(self) -> None:
        rows = [{f"c{i}": i} for i in range(20_000)]
        with pytest.raises(InputError, match="20,000 rows have 20,000 names"):
            to_arrow(rows)


@pytest.mark.parametrize("given", [1, "x", b"x", None, {"a": 1}])
def test_one_value_is_no_column(given: Any) -> None:
    with pytest.raises(InputError, match="'uid' must be a list of values"):
        to_arrow({"uid": given})


@pytest.mark.parametrize("query", ["WITH\nx AS (SELECT 1 AS a) SELECT * FROM x", "select\t1 AS a"])
def test_a_query_may_break_its_lines(query: str) -> None:
    assert to_arrow(query).to_pydict() == {"a": [1]}


@pytest.mark.parametrize(
    "given",
    [
        {"a": [1, 2], "b": [1]},
        {"a": [2**70]},
        {"a": ["\ud800"]},
        {"a": [1, "x"]},
        {"a": [object()]},
        {"a": [1j]},
        pd.DataFrame({"a": [1, "x"]}),
        pd.DataFrame({"a": [1 + 2j]}),
        [{"a": 1}, {"a": "x"}],
    ],
    ids="lengths large surrogate kinds object complex pandas pandas_complex mappings".split(),
)
def test_what_arrow_refuses_is_an_error_of_ours(given: Any) -> None:
    with pytest.raises(NoskewError, match="rows cannot be made a table"):
        to_arrow(given)


class TestPandas:
    """Integers beside nulls stay exact, and rows keep their index."""

    @pytest.fixture
    def made(self, store: ns.FeatureStore) -> Any:
        asked = pd.DataFrame(
            {
                "uid": [1, 2],
                "event_timestamp": pd.Timestamp(T),
                "order_id": pd.array([LARGE, None], "Int64"),
            },
            index=[10, 20],
        )
        return store.get_historical_features(asked, "svc")

    def test_training_sets(self, made: Any) -> None:
        frame = made.to_pandas()
        assert frame.index.tolist() == [10, 20]
        assert frame.dtypes.astype(str).to_dict() == {
            "uid": "int64",
            "event_timestamp": "datetime64[us, UTC]",
            "order_id": "Int64",
            "n": "Int64",
            "ok": "boolean",
        }
        assert (frame["n"][10], frame["order_id"][10]) == (LARGE, LARGE)
        assert frame["n"].isna().tolist() == frame["ok"].isna().tolist() == [False, True]

    def test_as_arrow(self, made: Any) -> None:
        frame = made.to_pandas(arrow_backed=True)
        assert set(frame.dtypes.map(type)) == {pd.ArrowDtype}
        assert frame["n"][10] == LARGE

    def test_online(self, store: ns.FeatureStore) -> None:
        store.materialize()
        frame = store.get_online_features("svc", {"uid": [1, 2]}).to_pandas()
        assert (str(frame["n"].dtype), frame["n"][0]) == ("Int64", LARGE)

    def test_a_column_of_the_caller_that_no_file_holds(self, tmp_path: Path) -> None:
        from noskew.training.training_set import TrainingSet

        odd = pa.array([pa.MonthDayNano([1, 2, 3])])
        made = TrainingSet(pa.table({"uid": [1], "more": odd}))
        with pytest.raises(InputError, match="the column 'more' is of the Arrow type month_day"):
            made.to_parquet(tmp_path / "q.parquet")

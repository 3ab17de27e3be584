"""Bodies are judged by the plan before anything is made of them: names, counts, then values."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from typing import Any

import numpy as np
import orjson
import pyarrow as pa
import pytest

import noskew as ns
from noskew.addresses import Tenant
from noskew.errors import InputError, KeyTypeError, LimitError
from noskew.reading.request_plan import RequestPlan
from noskew.serving.http import arrow_rows, json_rows, source_rows
from noskew.serving.http.json_rows import JsonRows
from noskew.wire.rows import as_columns
from tests.serving import shop
from tests.serving.test_errors import arrow

SERVICE = ns.FeatureService(
    "rows",
    [
        ns.FeatureView(
            "view",
            entity=ns.Entity("thing", {"key": "bytes"}),
            source=ns.Source(
                "things", {"key": "bytes", "at": "timestamp", "x": float}, event_time="at"
            ),
            features=["x"],
        )
    ],
)
PLAN = RequestPlan(SERVICE, Tenant("p"), max_rows=1_000)
ROWS = JsonRows(PLAN)
#: A list of rows, each with a name of its own: as columns it would be 4 million values.
DIAGONAL = [{f"n{i}": 1} for i in range(2_000)]
#: No base64, so that whoever looks at values complains of this.
NO_VALUE = "?"


def most_bytes(call: Callable[[], Any], error: type[Exception], match: str) -> int:
    """How much memory a call takes that must fail."""
    tracemalloc.start()
    try:
        with pytest.raises(error, match=match):
            call()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_rows_of_many_names_make_no_columns():
    rows = DIAGONAL[:1_000]
    assert most_bytes(lambda: PLAN.columns_of(rows), InputError, "takes no 'n0'") < 1_000_000
    assert most_bytes(lambda: ROWS.columns(rows), InputError, "takes no 'n0'") < 1_000_000


def test_too_many_rows_make_no_columns():
    rows = [{"key": "YQ=="}] * 1_001
    assert most_bytes(lambda: ROWS.columns(rows), LimitError, "1001 rows") < 10_000


def test_pushed_rows_of_many_names_make_no_columns():
    too_many = most_bytes(
        lambda: source_rows.table(shop.ITEMS, DIAGONAL, 1), LimitError, "2000 rows"
    )
    assert too_many < 25_000
    tracemalloc.start()
    table = source_rows.table(shop.ITEMS, [*DIAGONAL, {"id": "a"}], 10_000)
    assert tracemalloc.get_traced_memory()[1] < 2_000_000
    tracemalloc.stop()
    assert table.column_names == ["id"]
    assert table.num_rows == 2_001


@pytest.mark.parametrize(
    ("rows", "error", "says"),
    [
        ({"key": [NO_VALUE], "kay": [1]}, InputError, "takes no 'kay'"),
        ({"key": [NO_VALUE] * 1_001}, LimitError, "1001 rows"),
        ({}, KeyTypeError, "needs the join key 'key'"),
        ([{"key": NO_VALUE, "kay": 1}], InputError, "takes no 'kay'"),
        ([{"key": NO_VALUE}] * 1_001, LimitError, "1001 rows"),
        ({"key": [NO_VALUE]}, KeyTypeError, "not base64"),
        ([{"key": NO_VALUE}], KeyTypeError, "not base64"),
    ],
)
def test_names_and_counts_are_judged_before_values(rows, error, says):
    with pytest.raises(error, match=says):
        ROWS.columns(rows)


def test_arrow_columns_of_other_names_are_not_read():
    body = arrow(pa.table({"key": [b"a"], "kay": [1]}))
    cut = body[: body.index(b"kay") + 400]  # the schema is there, the values are not
    with pytest.raises(InputError, match="takes no 'kay'"):
        arrow_rows.parse(cut, 10, PLAN.takes)


def test_a_list_of_rows_becomes_the_columns_that_are_taken():
    rows = [{"a": 1, "b": 2}, {"b": 3, "c": 4}]
    assert as_columns(rows) == {"a": [1, None], "b": [2, 3], "c": [None, 4]}
    assert as_columns(rows, {"b"}.__contains__) == {"b": [2, 3]}
    assert as_columns({"a": 1, "b": 2}, {"b"}.__contains__) == {"b": 2}
    assert as_columns(pa.table({"a": [1], "b": [2]}), {"b"}.__contains__) == {"b": [2]}


def test_the_columns_of_a_caller_stay_as_they_are():
    keys = np.array([b"a"], object)
    rows = {"key": keys}
    columns, n = PLAN.columns_of(rows)
    assert (columns, n) == ({"key": [b"a"]}, 1)
    assert rows["key"] is keys


@pytest.mark.parametrize("body", [b"[]", b'{"rows": 1, "more": 2}', b"{}", b"7"])
def test_a_body_of_another_form_is_shown_an_example(body):
    with pytest.raises(InputError, match=r'such as \{"rows": \{"at": \[…\], "key": \[…\]\}\}'):
        json_rows.rows_of(body, ["key", "at"])


def test_rows_are_the_member_of_a_body():
    assert json_rows.rows_of(orjson.dumps({"rows": [1]}), ["key"]) == [1]

"""Files of JSON objects, as writers write them: one a line, the declared types."""

from __future__ import annotations

import base64
import gzip
import json
from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

import noskew as ns
from noskew.errors import CorruptDataError, InputError, SchemaMismatchError
from noskew.stores.sources import JsonSource
from tests.sources.declared import rows

SCHEMA = {"uid": int, "at": "timestamp[ms]", "n": int, "x": float, "t": str}
AT = datetime(2025, 5, 1, tzinfo=UTC)
RIGHT = [
    {"uid": 1, "at": AT, "n": 5, "x": 0.5, "t": 'é "a"\n'},
    {"uid": 2, "at": AT, "n": None, "x": None, "t": None},
]
FRAME = pd.DataFrame(RIGHT)
ARROW = pa.Table.from_pylist(RIGHT)


def _duckdb(path: Path) -> None:
    with duckdb.connect() as connection:
        connection.register("given", ARROW)
        select = 'SELECT uid, epoch_ms("at") AS "at", n, x, t FROM given'
        connection.execute(f"COPY ({select}) TO '{path}' (FORMAT json)")


def _polars(path: Path) -> None:
    frame = pl.from_arrow(ARROW)
    assert isinstance(frame, pl.DataFrame)
    frame.with_columns(pl.col("at").dt.epoch("ms")).write_ndjson(path)


def _lines(*lines: str, end: str = "\n") -> Callable[[Path], None]:
    return lambda path: path.write_bytes(end.join(lines).encode()) and None


_ONE = '{"uid": 1, "at": 1746057600000, "n": 5, "x": 0.5, "t": "é \\"a\\"\\n"}'
_TWO = '{"uid": 2, "at": "2025-05-01T02:00:00+02:00"}'
WRITERS: dict[str, Callable[[Path], Any]] = {
    # Whole numbers with a hole are floats.
    "pandas": lambda p: FRAME.assign(at=1_746_057_600_000.0).to_json(
        p, orient="records", lines=True
    ),
    "pandas, ISO": lambda p: FRAME.to_json(p, orient="records", lines=True, date_format="iso"),
    "Polars": _polars,
    "DuckDB": _duckdb,
    "Python": lambda p: p.write_text(
        "".join(json.dumps({**r, "at": r["at"].isoformat()}) + "\n" for r in RIGHT)
    ),
    "absent fields, texts and numbers": _lines(_ONE, _TWO, ""),
    "no last line end": _lines(_ONE, _TWO),
    "CR LF and empty lines": _lines(_ONE, "", _TWO, "  ", "", end="\r\n"),
    "a byte order mark": lambda p: p.write_bytes(b"\xef\xbb\xbf" + f"{_ONE}\n{_TWO}\n".encode()),
    "whole floats": _lines(_ONE.replace(" 5,", " 5.0,").replace(" 1,", " 1.0,"), _TWO),
    "what nobody declared": _lines(
        _ONE.replace("{", '{"more": {"a": [1, {}]}, "odd": 1e999, ', 1), _TWO
    ),
}


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("writer", WRITERS)
def test_files_as_they_are_written(tmp_path: Path, writer: str, packed: bool) -> None:
    plain = tmp_path / "a.ndjson"
    WRITERS[writer](plain)
    if packed:
        (tmp_path / "a.jsonl.gz").write_bytes(gzip.compress(plain.read_bytes()))
        plain.unlink()
    assert rows(ns.Json(str(tmp_path)), SCHEMA) == RIGHT


def test_each_type(tmp_path: Path) -> None:
    values = {
        "b": True,
        "raw": base64.b64encode(b"\x00\xff").decode(),
        "d": "2025-05-01",
        "p": "1.50",
        "q": 0.1,
        "l": [1, None],
        "v": [1.5, -2],
        "ts": ["2025-05-01T00:00:00Z", None],
        "big": 2**63 - 1,
    }
    (tmp_path / "a.json").write_text(json.dumps(values))
    schema = {
        "b": bool,
        "raw": bytes,
        "d": "date",
        "p": "decimal(9, 2)",
        "q": "decimal(38, 20)",
        "l": "list<int64>",
        "v": "vector<float32, 2>",
        "ts": "list<timestamp>",
        "big": int,
    }
    (found,) = rows(ns.Json(str(tmp_path / "a.json")), schema)
    assert found == {
        **{"b": True, "raw": b"\x00\xff", "d": date(2025, 5, 1), "p": Decimal("1.50")},
        **{"q": Decimal("0.1"), "l": [1, None], "v": [1.5, -2.0], "ts": [AT, None]},
        "big": 2**63 - 1,
    }


@pytest.mark.parametrize(
    ("line", "kind", "words"),
    [
        ('{"n": "6"}', int, r"a\.json, line 3, column 'n': expected int64, got '6'"),
        ('{"n": 6.5}', int, r"column 'n': expected int64, got 6\.5"),
        ('{"n": 300}', "int8", r"column 'n': expected int8, got 300"),
        ('{"n": 9223372036854775808}', int, "got 9223372036854775808"),
        ('{"n": 1}', str, r"line 3, column 'n': expected string, got 1"),
        ('{"n": 1}', bool, "expected bool, got 1"),
        ('{"n": {"a": 1}}', str, r"got \{'a': 1\}"),
        ('{"n": "x"}', float, "expected float64, got 'x'"),
        ('{"n": NaN}', float, r"a\.json, line 3"),
        ('{"n": 1746057600000}', "timestamp", r"column 'n'.*unit is unknown"),
        ('{"n": "2025-05-01T00:00:00"}', "timestamp", r"column 'n'.*no offset"),
        ('{"n": 1.5}', "timestamp[s]", r"column 'n'.*1\.5"),
        ('{"n": "01/02/2025"}', "date", "expected date, got '01/02/2025'"),
        ("[1, 2]", int, r"line 3: expected a JSON object, got \[1, 2\]"),
        ('{"n": 1', int, r"a\.json, line 3: not a JSON object on a line of its own"),
        ("[{", int, r"a\.json, line 3"),
        ('{"n": ' + "[" * 5000 + "]" * 5000 + "}", int, r"a\.json, line 3"),
    ],
)
def test_what_does_not_fit_is_named_with_its_line(
    tmp_path: Path, line: str, kind: Any, words: str
) -> None:
    (tmp_path / "a.json").write_text(f'{{"n": null}}\n\n{line}\n{{}}\n')
    with pytest.raises((SchemaMismatchError, CorruptDataError), match=words):
        rows(ns.Json(str(tmp_path)), {"n": kind})


def test_damaged_and_absent_files(tmp_path: Path) -> None:
    whole = gzip.compress(b'{"n": 1}\n' * 1000)
    for content in (whole[:40], b"no gzip at all"):
        (tmp_path / "a.json.gz").write_bytes(content)
        with pytest.raises(CorruptDataError, match=r"a\.json\.gz is not a whole gzip"):
            rows(ns.Json(str(tmp_path)), {"n": int})
    (tmp_path / "a.json.gz").write_bytes(b"")
    assert rows(ns.Json(str(tmp_path)), {"n": int}) == []
    (tmp_path / "b.json").write_bytes(b'{"t": "\xff"}')
    with pytest.raises(CorruptDataError, match=r"b\.json, line 1"):
        rows(ns.Json(str(tmp_path / "b.json")), {"t": str})
    with pytest.raises(InputError, match="no file or directory"):
        rows(ns.Json(str(tmp_path / "none")), {"n": int})


def test_parts_folders_and_batches(tmp_path: Path) -> None:
    for country in ("DE", "FR"):
        (tmp_path / f"country={country}").mkdir()
        (tmp_path / f"country={country}" / "a.jsonl").write_text('{"n": 1}\n{"n": 2}\n{"n": 3}\n')
    schema = {"n": int, "country": str}
    found = rows(ns.Json(str(tmp_path)), schema)
    assert found == [{"n": n, "country": c} for c in ("DE", "FR") for n in (1, 2, 3)]
    source = JsonSource(tmp_path, {"n": "int64"})
    (part,) = source.parts()
    assert [b.num_rows for b in source.read(part, batch_rows=2)] == [2, 1]
    assert [b.to_pylist() for b in source.sample(1, ["n"])] == [[{"n": 1}]]
    with pytest.raises(SchemaMismatchError, match=r"no column 'm'; valid names: n"):
        list(source.read(part, ["m"]))
    (tmp_path / "country=FR" / "a.jsonl").write_text('{"n": 1, "country": "DE"}')
    with pytest.raises(SchemaMismatchError, match=r"country=FR.*'DE'"):
        rows(ns.Json(str(tmp_path)), schema)


ITEM = st.fixed_dictionaries(
    {},
    optional={
        "n": st.none() | st.integers(-(2**63), 2**63 - 1),
        "x": st.none() | st.floats(allow_nan=False, allow_infinity=False),
        "t": st.none() | st.text(st.characters(exclude_categories=["Cs"])),
        "b": st.none() | st.booleans(),
        "l": st.none() | st.lists(st.none() | st.integers(-5, 5)),
    },
)


@given(items=st.lists(ITEM), block=st.integers(1, 50))
def test_what_python_writes_is_read_back(
    tmp_path_factory: pytest.TempPathFactory, items: list[dict[str, Any]], block: int
) -> None:
    """However the file is cut into blocks, within a line or at its end."""
    path = tmp_path_factory.mktemp("json") / "a.json"
    path.write_text("".join(json.dumps(item) + "\n" for item in items))
    schema = {"n": int, "x": float, "t": str, "b": bool, "l": "list<int64>"}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("noskew.stores.sources.json._BLOCK_BYTES", block)
        assert rows(ns.Json(str(path)), schema) == [
            {name: item.get(name) for name in schema} for item in items
        ]

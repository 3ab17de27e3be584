"""CSV files that are refused: where, what, and which option helps."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import pytest

import noskew as ns
from noskew.errors import CorruptDataError, DefinitionError, InputError, SchemaMismatchError
from noskew.stores.sources import CsvSource

TIME = {"k": "int64", "at": "timestamp"}
REFUSED: dict[str, tuple[bytes, dict[str, str], dict[str, Any], list[str]]] = {
    "a time without an offset": (
        b"k,at\n1,2025-05-01T00:00:00Z\n2,2025-05-01 00:00:00\n",
        TIME,
        {},
        ["line 3", "'at'", "'2025-05-01 00:00:00'", "24 hours", "timezone="],
    ),
    "a date": (b"k,at\n1,2025-05-01\n", TIME, {}, ["line 2", "'2025-05-01'", "timezone="]),
    "a time in another order": (
        b"k,at\n1,03/04/2025 00:00\n",
        TIME,
        {"timezone": "UTC"},
        ["'03/04/2025 00:00'", "timestamp_format="],
    ),
    "a time that is there twice": (
        b"k,at\n1,2025-10-26 02:30:00\n",
        TIME,
        {"timezone": "Europe/Berlin"},
        ["'2025-10-26 02:30:00'", "Europe/Berlin show that time twice, or never"],
    ),
    "a time that is never": (
        b"k,at\n1,30.03.2025 02:30\n",
        TIME,
        {"timezone": "Europe/Berlin", "timestamp_format": "%d.%m.%Y %H:%M"},
        ["'30.03.2025 02:30'", "twice, or never"],
    ),
    "no time of the format": (
        b"k,at\n1,31.02.2025\n",
        TIME,
        {"timezone": "UTC", "timestamp_format": "%d.%m.%Y"},
        ["'31.02.2025'", "not in timestamp_format='%d.%m.%Y'"],
    ),
    "a word for null": (b"k,s\n1,a\nNA,b\n", {"k": "int64"}, {}, ["line 3", "null_values=['NA']"]),
    "a word for true": (
        b"b,k\nyes,1\n",
        {"b": "bool"},
        {},
        ["line 2", "bool", "'yes'", "true or false"],
    ),
    "a decimal comma": (b"k;x\n1;1,5\n", {"x": "float64"}, {}, ["'1,5'", "decimal=','"]),
    "a decimal point": (b"k;x\n1;1.5\n", {"x": "float64"}, {"decimal": ","}, ["'1.5'"]),
    "a fraction of an integer": (b"k\n1.5\n", {"k": "int64"}, {}, ["line 2", "int64", "'1.5'"]),
    "an integer out of range": (b"k\n1\n300\n", {"k": "int8"}, {}, ["line 3", "int8", "'300'"]),
    "digits that a decimal has not": (b"d\n1.239\n", {"d": "decimal(10, 2)"}, {}, ["'1.239'"]),
    "a list that is not JSON": (
        b'k,v\n1,"[a, b]"\n',
        {"v": "list<string>"},
        {},
        ["JSON", "'[a, b]'"],
    ),
    "a short vector": (b"k,v\n1,[1]\n", {"v": "vector<float32, 2>"}, {}, ["'[1]'", "full length"]),
    "two lists in a field": (b'k,v\n1,"[1],[2]"\n', {"v": "list<int64>"}, {}, ["'[1],[2]'"]),
    "a field too many, behind a line break": (
        b'k,s\n1,"a\nb"\n\n2,b,c\n',
        {"k": "int64"},
        {},
        ["line 5", "expected 2 fields, got 3", "'2,b,c'", "delimiter="],
    ),
    "a column that is not there": (
        b"kk;s\n1;2\n",
        {"k": "int64"},
        {},
        ["'k'", "semicolons", "'kk'"],
    ),
    "a declared column that is there twice": (
        b"k,k\n1,2\n",
        {"k": "int64"},
        {},
        ["more than once", "'k'"],
    ),
    "text of another encoding": (
        b"k,s\n1,a\n2,M\xfcller\n",
        {"s": "string"},
        {},
        ["line 3", "encoding="],
    ),
    "bytes that the encoding has not": (
        b"k\n\x81\n",
        {"k": "string"},
        {"encoding": "cp1252"},
        ["cp1252"],
    ),
    "a header in another encoding": (b"k,\xfc\n1,2\n", {"k": "int64"}, {}, ["encoding="]),
    "UTF-16 without a mark": ("k,s\n1,a\n".encode("utf-16-le"), {"k": "int64"}, {}, ["utf-16-le"]),
    "a quote that is not closed": (
        b'k,s\n1,a\n2,"b\n',
        {"k": "int64"},
        {},
        ["line 3", "a quote without a pair"],
    ),
    "nothing": (b"", {"k": "int64"}, {}, ["is empty"]),
    "empty lines": (b"\n\n", {"k": "int64"}, {}, ["is empty"]),
    "two delimiters that could be": (
        b"1,2;3\n4,5;6\n",
        {"a": "string", "b": "string"},
        {"header": False},
        ["commas or semicolons", "delimiter="],
    ),
}


@pytest.mark.parametrize("name", REFUSED)
@pytest.mark.parametrize("block", [8, 1 << 22])
def test_a_refusal_says_what_helps(tmp_path: Path, name: str, block: int) -> None:
    data, kinds, options, words = REFUSED[name]
    path = tmp_path / "rows.csv"
    path.write_bytes(data)
    source = CsvSource(path, kinds, block_bytes=block, **options)
    (part,) = source.parts()
    with pytest.raises((SchemaMismatchError, CorruptDataError)) as refused:
        list(source.read(part, list(kinds)))
    message = str(refused.value)
    assert [word for word in ["rows.csv", *words] if word not in message] == []
    assert [
        word
        for word in ("CSV parse", "conversion", "assume_timezone", "column #")
        if word in message
    ] == []


def test_a_packed_file_that_is_cut_off(tmp_path: Path) -> None:
    whole = gzip.compress(b"k,s\n" + b"1,a\n" * 1000)
    (tmp_path / "rows.csv.gz").write_bytes(whole[: len(whole) // 2])
    source = CsvSource(tmp_path, {"k": "int64"})
    with pytest.raises(CorruptDataError, match=r"rows\.csv\.gz cannot be unpacked"):
        list(source.read(source.parts()[0]))


def test_a_line_is_counted_through_the_file(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text("k,s\n" + '1,"a\nb"\n' * 5_000 + "x,c\n")
    source = CsvSource(path, {"k": "int64"}, block_bytes=1_000)
    with pytest.raises(SchemaMismatchError, match="line 10,002: column 'k'"):
        list(source.read(source.parts()[0]))


@pytest.mark.parametrize(("rows", "line"), [("k,s\n1,a\n2,", 3), ("k,", 1)])
def test_a_quote_that_is_never_closed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rows: str, line: int
) -> None:
    """Else the rest of a large file would be held as one row."""
    monkeypatch.setattr("noskew.stores.sources.csv.rows.MOST_ROW_BYTES", 100_000)
    path = tmp_path / "rows.csv"
    path.write_text(rows + '"' + "3,b\n" * 100_000)
    source = CsvSource(path, {"k": "int64"}, block_bytes=1_000)
    (part,) = source.parts()
    with pytest.raises(
        SchemaMismatchError, match=f"line {rows.count(chr(10)) + 1}: .*without a pair"
    ):
        list(source.read(part))


def test_a_file_without_a_header_needs_types(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="header=False needs the types"):
        CsvSource(tmp_path, header=False)


def test_options_are_part_of_a_token(tmp_path: Path) -> None:
    """Not where they are as always: tokens that were kept stay."""
    path = tmp_path / "rows.csv"
    path.write_text("k,at\n1,2025-05-01T00:00:00Z\n")
    said: list[dict[str, Any]] = [
        {},
        {"timezone": "UTC"},
        {"timezone": "Asia/Tokyo"},
        {"null_values": ["x"]},
        {"decimal": ","},
        {"delimiter": ";"},
        {"timestamp_format": "%Y-%m-%dT%H:%M:%S%z"},
        {"encoding": "cp1252"},
        {"header": False},
    ]
    sources = [CsvSource(path, TIME, **options) for options in said]
    tokens = [source.parts()[0].token for source in sources]
    assert len(set(tokens)) == len(said)
    assert tokens[0] == "3bfbf065299e52935212d31815c6d1c7"


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"delimiter": ",,"}, "delimiter=',,'"),
        ({"delimiter": '"'}, "one ASCII character"),
        ({"delimiter": ",", "decimal": ","}, "another than decimal="),
        ({"decimal": "'"}, "decimal="),
        ({"timezone": "Mars/Olympus"}, "'Mars/Olympus'.*time zone"),
        ({"encoding": "base64"}, "encoding='base64'"),
        ({"null_values": [1]}, "null_values="),
        ({"timestamp_format": "%d/%m"}, "a year, a month and a day"),
        ({"timestamp_format": "%d/%m/%Y %Q"}, "'%Q' is not known; use %Y"),
        ({"timestamp_format": "%d/%m/%Y %y"}, "twice"),
        ({"timestamp_format": "%d/%m/%Y %I"}, "%I and %p"),
    ],
)
def test_options_that_mean_nothing(options: dict[str, Any], words: str) -> None:
    with pytest.raises(DefinitionError, match=words):
        ns.Csv("rows.csv", **options)


def test_a_connector_keeps_what_is_said() -> None:
    from noskew.definitions.connectors import from_dict

    assert ns.Csv("a").to_dict() == {"kind": "csv", "path": "a"}
    said = ns.Csv("a", null_values=["NULL"], header=False, timezone="UTC")
    assert from_dict(said.to_dict()) == said
    assert hash(from_dict(said.to_dict())) == hash(said)
    assert repr(ns.Csv("a", header=False)) == "Csv('a', header=False)"
    assert said.shown() == {
        "path": "a",
        "null_values": ["NULL"],
        "header": False,
        "timezone": "UTC",
    }

"""What the beginning of a CSV file says: its delimiter, its columns, and where rows begin."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.csv as pacsv

from noskew.errors import CorruptDataError, SchemaMismatchError
from noskew.stores.sources.csv.encoding import Utf8File
from noskew.stores.sources.csv.options import CsvOptions
from noskew.stores.sources.csv.rows import check_row_size, row_ends

_NAMES = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars"}
_HEAD_BYTES = 64 * 1024
#: How many rows must agree about a delimiter that no header confirms.
_ROWS = 20


@dataclass(frozen=True, slots=True)
class Layout:
    """``rows``: bytes that were read already, from the first row on, at ``offset``."""

    encoding: str
    delimiter: str
    newline: bytes
    names: tuple[str, ...]
    rows: bytes
    offset: int

    def __str__(self) -> str:
        between = _NAMES.get(self.delimiter, repr(self.delimiter))
        return f"{self.encoding}, {len(self.names)} columns between {between}"


def find_layout(file: Utf8File, options: CsvOptions, declared: Sequence[str], where: str) -> Layout:
    """Look at the beginning of a file.

    The delimiter is the one by which the header has all ``declared`` columns; without a header,
    or declared columns, the one by which the first rows have the same number of fields. Raises
    CorruptDataError for a file that is empty or no text, and SchemaMismatchError where that
    leaves several, and BadRowError for a first row that does not end.
    """
    head = file.read(_HEAD_BYTES)
    at = len(head) - len(head.lstrip(b"\r\n"))
    while not head[at:].strip(b"\r\n") or not _rows(head[at:], ","):
        more = file.read(max(_HEAD_BYTES, len(head)))
        if not more:
            break
        head += more
        check_row_size(head[at:])
        at = len(head) - len(head.lstrip(b"\r\n"))
    body = head[at:]
    if not body and options.header:
        raise CorruptDataError(
            f"{where} is empty; expected a first line with the names of its columns"
        )
    if b"\0" in body[: body.find(b"\n") + 1 or len(body)]:
        raise CorruptDataError(
            f"{where} holds zero bytes, so it is not text in {file.encoding}; set encoding= to "
            f"what it is written in, such as 'utf-16-le'"
        )
    delimiter = _delimiter(body, options, declared, where)
    newline, names, end = _newline(body), tuple(declared), 0
    if options.header:
        ends = row_ends(body, delimiter.encode(), newline)
        end = int(ends[0]) if len(ends) else len(body)
        names = tuple(_fields(body[:end], delimiter, where))
    return Layout(file.encoding, delimiter, newline, names, body[end:], at + end)


def _newline(data: bytes) -> bytes:
    return b"\n" if b"\n" in data or b"\r" not in data else b"\r"


def _rows(data: bytes, delimiter: str) -> list[bytes]:
    """The first rows that are whole, without the empty ones."""
    ends = row_ends(data, delimiter.encode(), _newline(data))[: 2 * _ROWS].tolist()
    rows = [data[a:b] for a, b in zip([0, *ends], ends, strict=False)]
    return [row for row in rows if row.strip(b"\r\n")][:_ROWS]


def _parsed(row: bytes, delimiter: str) -> pa.Table:
    texts = {f"f{n}": pa.string() for n in range(row.count(delimiter.encode()) + 1)}
    return pacsv.read_csv(
        pa.BufferReader(row + b"\n"),  # one that lacks its end is none to Arrow
        read_options=pacsv.ReadOptions(
            autogenerate_column_names=True, use_threads=False, block_size=len(row) + 2
        ),
        parse_options=pacsv.ParseOptions(delimiter=delimiter, newlines_in_values=True),
        convert_options=pacsv.ConvertOptions(column_types=texts, check_utf8=False),
    )


def _fields(row: bytes, delimiter: str, where: str) -> list[str]:
    try:
        return [column[0].as_py() for column in _parsed(row, delimiter).columns]
    except UnicodeDecodeError as error:
        raise CorruptDataError(
            f"{where}: the first row {row[:60]!r} is not text in UTF-8; set encoding= to what the "
            f"file is written in, such as 'cp1252'"
        ) from error


def _delimiter(body: bytes, options: CsvOptions, declared: Sequence[str], where: str) -> str:
    if options.delimiter is not None:
        return options.delimiter
    if where.lower().removesuffix(".gz").endswith(".tsv"):
        return "\t"
    usual = [d for d in _NAMES if d != options.decimal]
    rows = {d: _rows(body, d) or [body] for d in usual}
    first = {d: _fields(rows[d][0], d, where) for d in usual} if body else {}
    if declared and options.header:
        fitting = [d for d in first if set(declared) <= set(first[d])]
        # Where none fits the names of the likeliest are told by who looks for them.
        return fitting[0] if fitting else max(usual, key=lambda d: len(first[d]))
    several = [d for d in first if len(first[d]) > 1 and _agree(rows[d], d, len(first[d]))]
    if declared:
        several = [d for d in several if len(first[d]) == len(declared)]
    if len(several) > 1:
        names = " or ".join(_NAMES[d] for d in several)
        raise SchemaMismatchError(
            f"{where}: its fields could lie between {names}; set delimiter={several[0]!r} or "
            f"delimiter={several[1]!r}"
        )
    return several[0] if several else usual[0]


def _agree(rows: list[bytes], delimiter: str, fields: int) -> bool:
    return all(_parsed(row, delimiter).num_columns == fields for row in rows)

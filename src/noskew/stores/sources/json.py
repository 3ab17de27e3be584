"""Files of JSON objects, one a line, as a batch source: one part per file."""

from __future__ import annotations

import gzip
import hashlib
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import accumulate
from operator import attrgetter
from pathlib import Path
from typing import IO, Any

import msgspec
import pyarrow as pa

from noskew.errors import CorruptDataError, NoskewError, SchemaMismatchError
from noskew.json_types import check_decimals, flat, json_type
from noskew.stores.sources.batches import chosen, sliced
from noskew.stores.sources.file_source import FileSource
from noskew.stores.sources.partitions import Partitions
from noskew.stores.sources.paths import FileParts, opening
from noskew.types import DType, dtype

_SUFFIXES = (".json", ".jsonl", ".ndjson", ".json.gz", ".jsonl.gz", ".ndjson.gz")
_BLOCK_BYTES = 4 * 1024 * 1024
_BOM = b"\xef\xbb\xbf"
#: Whole floats are integers: who has a hole in a column writes it so.
_INTEGER = int | float
_TIME = str | int | float


class JsonSource(FileSource):
    """A file with a JSON object on each line, plain or ``.gz``; a directory of them, or a glob.

    ``column_types`` declares the columns, and others are not looked at. A field that is absent is
    null, as is ``null``. Integers may be written as whole floats; bytes are base64, dates
    ``YYYY-MM-DD``, decimals texts or numbers, taken exactly. Times come as they are written,
    texts or numbers: whoever reads them knows what was declared. A column of a folder named
    ``column=value`` has that value where the file says nothing (see ``Partitions``).

    A part's token is a digest of the file's bytes, and of what its folders say.
    """

    def __init__(
        self, path: str | Path, column_types: Mapping[str, pa.DataType | str] | None = None
    ) -> None:
        self._path = str(path)
        self._kinds = {name: dtype(kind) for name, kind in (column_types or {}).items()}
        self._types = {name: kind.to_arrow() for name, kind in self._kinds.items()}
        super().__init__(FileParts(self._path, _SUFFIXES, self._token, lambda path: None))

    def schema(self) -> pa.Schema:
        return pa.schema(list(self._types.items()))

    def _batches(
        self, path: Path, columns: list[str] | None, batch_rows: int
    ) -> Iterator[pa.RecordBatch]:
        names = chosen(list(self._kinds), columns, str(path))
        parse = _Objects({name: self._kinds[name] for name in names}, path)
        folders = Partitions(path, self._types)
        line = 1
        with _opened(path) as file:
            for block in _blocks(file):
                objects = parse(block, line)
                line += block.count(b"\n")
                arrays = [_beside(folders, n, parse.column(n, objects)) for n in names]
                yield from sliced(pa.RecordBatch.from_arrays(arrays, names), batch_rows)

    def _token(self, path: Path) -> str:
        with opening(path), path.open("rb") as file:
            own = hashlib.file_digest(file, "blake2b").hexdigest()[:32]
        return Partitions(path, self._types).token(own)


class _Objects:
    """What parses the objects of a file, and makes columns of them."""

    def __init__(self, kinds: Mapping[str, DType], path: Path) -> None:
        self._kinds, self._path = kinds, path
        fields = [(f"c{i}", _json_type(k) | None, None) for i, k in enumerate(kinds.values())]
        rename = {f"c{i}": name for i, name in enumerate(kinds)}
        try:
            record = msgspec.defstruct("Record", fields, rename=rename, gc=False)
        except ValueError as error:
            raise SchemaMismatchError(
                f"{path}: names of JSON fields with quotes, backslashes or control characters "
                f"cannot be read: {list(kinds)}"
            ) from error
        self._values = {
            name: attrgetter(field[0]) for name, field in zip(kinds, fields, strict=True)
        }
        self._decoder = msgspec.json.Decoder(record)

    def __call__(self, block: bytes, line: int) -> list[Any]:
        """The objects of whole lines, of which the first is number ``line``."""
        try:
            return self._decoder.decode_lines(block)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            raise self._fault(block, line) from error

    def column(self, name: str, objects: list[Any]) -> pa.Array:
        values, kind = list(map(self._values[name], objects)), self._kinds[name]
        try:
            return _array(values, kind)
        except (pa.ArrowException, OverflowError, ValueError) as error:
            raise SchemaMismatchError(
                f"{self._path}, column {name!r}: expected {kind}, got {_first_odd(values, kind)}"
            ) from error

    def _fault(self, block: bytes, line: int) -> NoskewError:
        """The error of the first line that cannot be read."""
        for number, text in enumerate(block.split(b"\n"), line):
            if not text.strip():
                continue
            try:
                self._decoder.decode(text)
            except msgspec.ValidationError as error:
                return self._misfit(f"{self._path}, line {number}", text, error)
            except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
                return self._damaged(f"{self._path}, line {number}", error)
        raise AssertionError("unreachable: some line was refused")

    def _damaged(self, where: str, error: Exception) -> CorruptDataError:
        return CorruptDataError(f"{where}: not a JSON object on a line of its own: {error}")

    def _misfit(self, where: str, text: bytes, error: Exception) -> NoskewError:
        try:
            found = msgspec.json.decode(text)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as fault:
            return self._damaged(where, fault)
        if not isinstance(found, dict):
            return SchemaMismatchError(
                f"{where}: expected a JSON object, got {found!r:.60}; write one on each line"
            )
        for name, value in found.items():
            if name in self._kinds and not _parses(value, self._kinds[name]):
                return SchemaMismatchError(
                    f"{where}, column {name!r}: expected {self._kinds[name]}, got {value!r:.80}"
                )
        return SchemaMismatchError(f"{where}: {error}")


def _json_type(kind: DType) -> Any:
    return _INTEGER if kind.is_integer else json_type(kind, _TIME)


def _parses(value: Any, kind: DType) -> bool:
    try:
        msgspec.json.decode(msgspec.json.encode(value), type=_json_type(kind) | None)
    except msgspec.MsgspecError:
        return False
    return True


def _array(values: list[Any], kind: DType) -> pa.Array:
    if kind.is_integer:
        return pa.array(_whole(values), kind.to_arrow())
    if (kind.item or kind).kind == "decimal":
        check_decimals(values if kind.item is None else flat(values))
    if kind.kind == "timestamp":
        return _times(values)
    if kind.item is not None and kind.item.kind == "timestamp":
        items = _times(flat(values))
        lengths = [0 if v is None else len(v) for v in values]
        return _lists(items, lengths, pa.array([v is None for v in values], pa.bool_()))
    return pa.array(values, kind.to_arrow())


def _lists(items: pa.Array, lengths: Sequence[int], is_null: pa.Array) -> pa.Array:
    offsets = pa.array([0, *accumulate(lengths)], pa.int32())
    return pa.ListArray.from_arrays(offsets, items, mask=is_null)


def _whole(values: Sequence[int | float | None]) -> Sequence[int | None]:
    """Whole floats as integers. Raises ValueError for others: Arrow would cut them off."""
    if float not in set(map(type, values)):
        return values  # type: ignore[return-value]
    if any(isinstance(v, float) and not v.is_integer() for v in values):
        raise ValueError("a number that is not whole")
    return [v if v is None else int(v) for v in values]


def _times(values: Sequence[str | int | float | None]) -> pa.Array:
    """Times as they are written: texts, numbers, or, where both are there, all as texts."""
    kinds = set(map(type, values)) - {type(None)}
    if kinds <= {str}:
        return pa.array(values, pa.string())
    if str in kinds:
        return pa.array([v if v is None else str(v) for v in values], pa.string())
    # Of floats whoever reads them says which is not whole.
    return pa.array(values, pa.float64() if float in kinds else pa.int64())


def _first_odd(values: Sequence[Any], kind: DType) -> str:
    for value in values:
        try:
            _array([value], kind)
        except (pa.ArrowException, OverflowError, ValueError):
            return f"{value!r:.80}"
    return "values of several types"


def _beside(folders: Partitions, name: str, column: pa.Array) -> pa.Array:
    """A column, or what the file's folders say of it where the file says nothing."""
    if name not in folders.texts:
        return column
    if column.null_count == len(column):
        return folders.column(name, len(column))
    folders.check(name, column)
    return column


def _blocks(file: IO[bytes]) -> Iterator[bytes]:
    """Whole lines, some megabytes of them at a time; a longer line is a block by itself."""
    pieces: list[bytes] = []
    is_first = True
    while data := file.read(_BLOCK_BYTES):
        if is_first:
            data, is_first = data.removeprefix(_BOM), False
        end = data.rfind(b"\n") + 1
        if not end:
            pieces.append(data)
            continue
        yield b"".join([*pieces, data[:end]])
        pieces = [data[end:]]
    if rest := b"".join(pieces):
        yield rest


@contextmanager
def _opened(path: Path) -> Iterator[IO[bytes]]:
    is_gzip = path.name.endswith(".gz")
    with opening(path):
        try:
            with gzip.open(path) if is_gzip else path.open("rb") as file:
                yield file  # type: ignore[misc]
        except (gzip.BadGzipFile, EOFError, zlib.error) as error:
            raise CorruptDataError(f"{path} is not a whole gzip file: {error}") from error

"""Pieces of a CSV file as batches: fast where its text is plain, with care where it is not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.csv as pacsv

from noskew.stores.sources.csv.columns import FALSE, TRUE, BadValueError, TextColumns
from noskew.stores.sources.csv.layout import Layout
from noskew.stores.sources.csv.options import CsvOptions
from noskew.stores.sources.csv.rows import BadRowError, row_ends
from noskew.types import DType


class PieceReader:
    """Makes batches of pieces.

    Types that Arrow's reader of CSV knows, it reads. A piece that it refuses is read again as
    text, of which :class:`TextColumns` makes the same values and more, or says what is wrong.
    """

    def __init__(
        self, layout: Layout, options: CsvOptions, chosen: Sequence[str], kinds: Mapping[str, DType]
    ) -> None:
        self.layout, self._options = layout, options
        self._columns = TextColumns(options)
        self._chosen = list(chosen)
        self._kinds = [kinds[name] for name in chosen]
        self._places = [f"f{layout.names.index(name)}" for name in chosen]
        # Which fields are null depends on the type where it is said: as text, they all differ.
        self._plain = options.null_values is None
        self._schema = pa.schema(
            [(n, k.to_arrow()) for n, k in zip(self._chosen, self._kinds, strict=True)]
        )

    def batch(self, piece: bytes) -> pa.RecordBatch:
        """The rows of a piece. Raises BadRowError."""
        if self._plain:
            try:
                return self._read(piece, [self._general(kind) for kind in self._kinds])
            except pa.ArrowInvalid:
                # Values of a form that only we read mostly come again.
                self._plain = not piece.strip(b"\r\n")
        if not piece.strip(b"\r\n"):
            return pa.RecordBatch.from_pylist([], self._schema)
        return self._read(piece, [pa.binary()] * len(self._kinds))

    def _general(self, kind: DType) -> pa.DataType:
        return pa.binary() if self._columns.has_own_form(kind) else kind.to_arrow()

    def _read(self, piece: bytes, types: Sequence[pa.DataType]) -> pa.RecordBatch:
        table = self._parse(piece, dict(zip(self._places, types, strict=True)))
        arrays = []
        for name, place, kind in zip(self._chosen, self._places, self._kinds, strict=True):
            array = table.column(place).combine_chunks()
            if array.type != kind.to_arrow():
                try:
                    array = self._columns.values(array, kind)
                except BadValueError as bad:
                    raise BadRowError(
                        bad.row,
                        f"column {name!r} is declared {kind}, got {bad.value!r}: {bad.advice}",
                    ) from None
            arrays.append(array)
        return pa.RecordBatch.from_arrays(arrays, schema=self._schema)

    def _parse(self, piece: bytes, types: Mapping[str, pa.DataType]) -> pa.Table:
        wrong: list[Any] = []

        def refuse(row: Any) -> str:
            wrong.append(row)
            return "error"

        layout, nulls = self.layout, self._options.null_values
        ends = piece.endswith(layout.newline)
        try:
            # One block, so that no row is cut: that line breaks may be in values does not matter.
            return pacsv.read_csv(
                pa.BufferReader(piece if ends else piece + layout.newline),
                read_options=pacsv.ReadOptions(
                    block_size=len(piece) + 2,
                    column_names=[f"f{n}" for n in range(len(layout.names))],
                ),
                parse_options=pacsv.ParseOptions(
                    delimiter=layout.delimiter,
                    invalid_row_handler=refuse,
                ),
                convert_options=pacsv.ConvertOptions(
                    column_types=dict(types),
                    include_columns=list(dict.fromkeys(self._places)),
                    null_values=[""] if nulls is None else list(nulls),
                    strings_can_be_null=nulls is not None,
                    # What a writer quotes is a value that only looks like a null.
                    quoted_strings_can_be_null=nulls is None,
                    true_values=list(TRUE),
                    false_values=list(FALSE),
                    decimal_point=self._options.decimal,
                ),
            )
        except pa.ArrowInvalid as error:
            if wrong:
                raise BadRowError(
                    self._row(piece, wrong[0].text),
                    f"expected {len(layout.names)} fields, got {wrong[0].actual_columns}: "
                    f"{wrong[0].text[:80]!r}; quote fields that hold the delimiter, or set "
                    f"delimiter= (read as {layout})",
                ) from None
            if all(kind == pa.binary() for kind in types.values()):
                raise BadRowError(0, f"it cannot be divided into rows ({error})") from error
            raise

    def _row(self, piece: bytes, text: str) -> int:
        """Which row has a text: Arrow does not say it where several threads read."""
        sought = text.encode().strip(b"\r\n")
        ends = row_ends(piece, self.layout.delimiter.encode(), self.layout.newline).tolist()
        ends = ends if ends and ends[-1] == len(piece) else [*ends, len(piece)]
        rows = [piece[a:b].strip(b"\r\n") for a, b in zip([0, *ends], ends, strict=False)]
        filled = [row for row in rows if row]
        return filled.index(sought) if sought in filled else 0


def line_in_piece(piece: bytes, row: int, layout: Layout) -> int:
    """How many lines of a piece there are before a row, counted in lines that are not empty."""
    begin = 0
    for end in [*row_ends(piece, layout.delimiter.encode(), layout.newline).tolist(), len(piece)]:
        if piece[begin:end].strip(b"\r\n"):
            if row == 0:
                break
            row -= 1
        begin = end
    return piece.count(layout.newline, 0, begin)

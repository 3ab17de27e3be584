"""Batches are bounded by rows and by bytes, and have the same rows however they are cut."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from noskew.stores.sources import BatchSource, FrameSource, JsonSource, ParquetSource
from noskew.stores.sources.batches import joined, sliced

TEXTS = st.lists(st.text("a", max_size=50), max_size=30)


@given(texts=TEXTS, rows=st.integers(1, 40), limit=st.integers(1, 400), size=st.integers(1, 10))
def test_bounds(texts: list[str], rows: int, limit: int, size: int) -> None:
    whole = pa.table({"s": pa.array(texts, pa.string())})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("noskew.stores.sources.batches.MOST_BYTES", limit)
        small = whole.to_batches(max_chunksize=size)
        pieces = [p for batch in joined(small, rows) for p in sliced(batch, rows)]
    assert all(p.num_rows <= rows and (p.nbytes <= limit or p.num_rows == 1) for p in pieces)
    assert [text for piece in pieces for text in piece.column(0).to_pylist()] == texts
    if limit == 400 and size == rows == 1:
        assert len(pieces) == len(texts)


def test_small_batches_are_put_together() -> None:
    small = pa.table({"n": range(10)}).to_batches(max_chunksize=3)
    assert [b.num_rows for b in joined(small, 7)] == [6, 4]
    assert list(joined([], 7)) == []


def test_values_of_dictionaries_count_as_often_as_they_are_used() -> None:
    for values in (pa.array(["x" * 1000, "y"]), pa.array(["x" * 1000, "y"], pa.string_view())):
        coded = pa.DictionaryArray.from_arrays([0, None, *[0] * 98, *[1] * 100], values)
        batch = pa.record_batch({"s": coded, "n": pa.array(range(200)).dictionary_encode()})
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("noskew.stores.sources.batches.MOST_BYTES", 20_000)
            sizes = [piece.num_rows for piece in sliced(batch, 200)]
        assert sizes[:4] == [12, 13, 12, 13]
        assert sum(sizes) == 200
        assert sizes[-1] > 13


@pytest.mark.parametrize("form", ["Parquet", "frame", "JSON"])
def test_wide_rows(tmp_path: Path, form: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("noskew.stores.sources.batches.MOST_BYTES", 10_000)
    table = pa.table({"s": ["x" * 1000] * 100})
    source: BatchSource = FrameSource(table)
    if form == "Parquet":
        pq.write_table(table, tmp_path / "a.parquet")
        source = ParquetSource(tmp_path)
    if form == "JSON":
        line = '{"s": "%s"}\n' % ("x" * 1000)
        (tmp_path / "a.json").write_text(line * 100)
        source = JsonSource(tmp_path, {"s": "string"})
    batches = [b for part in source.parts() for b in source.read(part)]
    assert sum(b.num_rows for b in batches) == 100
    assert max(b.nbytes for b in batches) <= 10_000

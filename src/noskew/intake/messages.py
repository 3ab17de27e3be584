"""Messages: rows of a source as a log holds them."""

from __future__ import annotations

import pyarrow as pa


def encode_arrow(rows: pa.Table) -> bytes:
    """Rows as one message: an Arrow IPC stream."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, rows.schema) as writer:
        writer.write_table(rows.combine_chunks())
    message: bytes = sink.getvalue().to_pybytes()
    return message

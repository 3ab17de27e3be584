"""Messages of a stream for people: what can be read of their bytes."""

from __future__ import annotations

from typing import Any

import orjson
import pyarrow as pa

from noskew.kernel.events import EVENT_ID, EVENT_TIME, KNOWN_TIME, SEQUENCE
from noskew.kernel.transforms.pipeline import BUCKET

#: Rows of a message that are shown.
_MOST_ROWS = 20
_HEX_BYTES = 32
#: Columns that an event has beside those of its view.
_SYSTEM = frozenset((EVENT_TIME, KNOWN_TIME, SEQUENCE, EVENT_ID, BUCKET))


def payload_data(payload: bytes) -> Any:
    """JSON as it is, the rows of an Arrow stream as a mapping (or a list of several), else text.

    Bytes that are none of these are given as ``{"hex": …}``.
    """
    rows = _arrow(payload)
    if rows is not None:
        return rows[0] if len(rows) == 1 else rows
    try:
        text = payload.decode()
    except UnicodeDecodeError:
        return {"hex": payload.hex()}
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        return text


def payload_text(payload: bytes, most: int) -> str:
    """The same in one line of at most so many characters."""
    data = payload_data(payload)
    if isinstance(data, dict) and set(data) == {"hex"}:
        rest = f" … {len(payload):,} bytes" if len(payload) > _HEX_BYTES else ""
        text = payload[:_HEX_BYTES].hex(" ") + rest
    elif isinstance(data, str):
        text = repr(data)[1:-1]
    else:
        text = ", ".join(map(_row, data if isinstance(data, list) else [data]))
    return text if len(text) <= most else f"{text[: most - 1]}…"


def printable(value: Any) -> Any:
    """What JSON has no form for: bytes in hexadecimal, all else as text."""
    return value.hex() if isinstance(value, bytes) else str(value)


def _arrow(payload: bytes) -> list[dict[str, Any]] | None:
    """The first rows of an Arrow IPC stream; None if the bytes are none."""
    try:
        with pa.ipc.open_stream(payload) as reader:
            table = reader.read_all()
        table.validate(full=True)
        names = [n for n in table.column_names if n not in _SYSTEM]
        rows: list[dict[str, Any]] = table.select(names).slice(0, _MOST_ROWS).to_pylist()
        return rows
    except (pa.ArrowException, OSError, ValueError):
        return None


def _row(row: Any) -> str:
    if not isinstance(row, dict):
        return orjson.dumps(row, default=printable).decode()
    return " ".join(f"{name}={_value(value)}" for name, value in row.items())


def _value(value: Any) -> str:
    if value is None:
        return "null"
    if hasattr(value, "isoformat"):
        return str(value.isoformat()).replace("+00:00", "Z")
    return value if isinstance(value, str) else orjson.dumps(value, default=printable).decode()

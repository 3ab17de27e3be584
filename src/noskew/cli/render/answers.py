"""What an online read gave: as a table, and as JSON."""

from __future__ import annotations

from typing import Any

import orjson
from rich.markup import escape
from rich.table import Table

from noskew.cli.render.styled_table import new_table
from noskew.clock import to_text
from noskew.reading.response import OnlineResponse

_LOOK = {
    "PRESENT": "green",
    "NULL": "dim",
    "MISSING": "yellow",
    "EXPIRED": "yellow",
    "STALE": "magenta",
    "MASKED": "red",
}
#: Rows that stand side by side as columns of a table; more are listed one a line.
_SIDE_BY_SIDE = 4


def as_json_text(answer: OnlineResponse) -> str:
    """Values, statuses and event times, as JSON."""
    data = {
        "t": to_text(answer.t),
        "values": answer.to_dict(),
        "statuses": answer.statuses(),
        "event_times": answer.event_times(),
    }
    option = orjson.OPT_INDENT_2 | orjson.OPT_UTC_Z | orjson.OPT_NAIVE_UTC
    return orjson.dumps(data, option=option, default=_plain).decode()


def _plain(value: Any) -> Any:
    return value.hex() if isinstance(value, bytes) else str(value)


def answer_table(answer: OnlineResponse, given: list[str]) -> Table:
    """A few rows side by side, more one a line; ``given``: the names of what was asked for."""
    values, statuses = answer.to_dict(), answer.statuses()
    rows = range(len(answer))
    if len(answer) <= _SIDE_BY_SIDE:
        heads = ["\n".join(f"{k}={values[k][i]}" for k in given) for i in rows]
        table = new_table(answer.service_name, "feature", *heads)
        for name in answer.feature_names:
            table.add_row(name, *(_cell(values[name][i], statuses[name][i]) for i in rows))
        return table
    table = new_table(answer.service_name, *given, *answer.feature_names)
    for i in rows:
        cells = [_cell(values[n][i], statuses[n][i]) for n in answer.feature_names]
        table.add_row(*(str(values[k][i]) for k in given), *cells)
    return table


def _cell(value: Any, status: str) -> str:
    if isinstance(value, float):
        shown = f"{value:.6g}"
    elif isinstance(value, list) and len(value) > 6:
        shown = f"[{', '.join(map(str, value[:5]))}, … {len(value)} items]"
    else:
        shown = "" if value is None else str(value)
    mark = "" if status == "PRESENT" else f"[{_LOOK[status]}]{status}[/{_LOOK[status]}]"
    return f"{escape(shown)} {mark}".strip()

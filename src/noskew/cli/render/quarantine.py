"""Rows that a stream has quarantined, for people and for machines."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rich.table import Table
from rich.text import Text

from noskew.cli.render.payloads import payload_data, payload_text
from noskew.cli.render.styled_table import new_table
from noskew.clock import to_text
from noskew.streaming.quarantine.replay import ReplayPlan
from noskew.streaming.quarantine.table import QuarantinedRow, QuarantineTable, RowOrigin

#: Characters of a payload, and of a reason, in a table.
_MOST = 200


@dataclass(frozen=True)
class ReasonCount:
    """Rows that are in quarantine for one reason, and how many of them were replayed."""

    views: tuple[str, ...]
    reason: str
    rows: int
    replayed: int


def count_reasons(quarantine: QuarantineTable, rows: Sequence[QuarantinedRow]) -> list[ReasonCount]:
    """How many rows of a table there are for each reason."""
    names = tuple(v.name for v in quarantine.views)
    every = Counter(r.reason for r in rows)
    replayed = Counter(r.reason for r in rows if r.replayed_at is not None)
    return [ReasonCount(names, why, count, replayed[why]) for why, count in every.items()]


def reasons_table(source: str, counts: Sequence[ReasonCount]) -> Table:
    """The reasons, those of the most rows first."""
    table = new_table(
        f"Quarantine of {source}",
        "rows",
        "replayed",
        "view",
        "reason",
        numbers=("rows", "replayed"),
    )
    for c in sorted(counts, key=lambda c: -c.rows):
        replayed = Text(f"{c.replayed:,}", "" if c.replayed else "dim")
        table.add_row(f"{c.rows:,}", replayed, ", ".join(c.views), Text(c.reason))
    return table


def rows_table(
    quarantine: QuarantineTable,
    rows: Sequence[QuarantinedRow],
    payloads: Mapping[RowOrigin, bytes],
    total: int,
) -> Table:
    """Rows by where they stand, with what their payloads say."""
    shown = f"{len(rows):,} newest of {total:,}" if total > len(rows) else f"{total:,}"
    table = new_table(
        f"{quarantine.names} ({shown})",
        "part",
        "offset",
        "row",
        "known",
        "reason",
        "payload",
        numbers=("part", "offset", "row"),
    )
    table.columns[0].style = ""
    table.columns[3].no_wrap = True
    for r in rows:
        known = Text(to_text(r.known_time)[:19].replace("T", " "))
        reason = Text(r.reason if len(r.reason) <= _MOST else f"{r.reason[:_MOST]}…")
        if r.replayed_at is not None:
            reason.append(f"\nreplayed {to_text(r.replayed_at)[:19].replace('T', ' ')}", "green")
        place = r.place
        table.add_row(
            str(place.partition),
            f"{place.offset:,}",
            str(place.row),
            known,
            reason,
            Text(payload_text(payloads[place], _MOST), "dim"),
        )
    return table


def rows_data(
    quarantine: QuarantineTable, rows: Sequence[QuarantinedRow], payloads: Mapping[RowOrigin, bytes]
) -> list[dict[str, Any]]:
    """The same as data; times in µs since the epoch."""
    return [
        {
            "views": [v.name for v in quarantine.views],
            "log": r.place.log,
            "partition": r.place.partition,
            "offset": r.place.offset,
            "row": r.place.row,
            "known_time": r.known_time,
            "reason": r.reason,
            "replayed_at": r.replayed_at,
            "payload": payload_data(payloads[r.place]),
        }
        for r in rows
    ]


def plan_table(source: str, plan: ReplayPlan) -> Table:
    """What a replay would append, and what it leaves out."""
    table = new_table(f"Replay of {source}", "rows", "", numbers=("rows",))
    table.add_row(f"{len(plan.rows):,}", Text("to append to the log again", "green"))
    for why, count in plan.left_out.items():
        table.add_row(f"{count:,}", Text.assemble(("left out: ", "yellow"), f"they {why}"))
    return table

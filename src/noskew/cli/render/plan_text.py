"""A plan in colours: what comes, changes and goes, and what that costs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from rich.text import Text

from noskew.registry.plan import Change, Plan, label

_LOOK = {"added": ("+", "green"), "changed": ("~", "yellow"), "removed": ("-", "red")}
_BACKFILL = {
    "log": "its events must be ingested (noskew ingest), then its rows materialized",
    "online": "its online rows must be materialized again (noskew materialize)",
}


def lines(plan: Plan, *, backfills: bool = True) -> Iterator[Text]:
    """The changes, a paragraph each, then the counts; ``backfills``: and what they cost."""
    if plan.is_empty:
        yield Text(f"Nothing to do: {len(plan.changes)} definitions are as applied.", "green")
        return
    for change in plan.changes:
        if change.action != "unchanged":
            yield from _paragraph(change if backfills else replace(change, backfill="none"))
    yield Text()
    yield _total(plan, backfills=backfills)


def _paragraph(change: Change) -> Iterator[Text]:
    sign, colour = _LOOK[change.action]
    head = Text.assemble((f"{sign} {label(change.kind)} ", colour), (change.name, f"bold {colour}"))
    if change.breaking:
        head.append("  breaking", style="bold white on red")
    yield head
    for reason in change.reasons:
        yield Text(f"    {reason}", style="" if change.action == "changed" else "dim")
    if change.backfill != "none":
        size = "" if change.rows is None else f" ≈ {change.rows:,} rows"
        yield Text(f"    backfill{size}: {_BACKFILL[change.backfill]}", style="cyan")


def _total(plan: Plan, *, backfills: bool) -> Text:
    text = Text("Plan: ", style="bold")
    counts = {a: sum(c.action == a for c in plan.changes) for a in (*_LOOK, "unchanged")}
    parts = [
        Text(f"{n} {action}", style=_LOOK[action][1] if action in _LOOK and n else "dim")
        for action, n in counts.items()
    ]
    text.append_text(Text(", ").join(parts))
    if plan.breaking:
        text.append(f"; {len(plan.breaking)} breaking", style="bold red")
    if plan.backfills and backfills:
        text.append(f"; {len(plan.backfills)} to backfill", style="cyan")
    return text.append(".")

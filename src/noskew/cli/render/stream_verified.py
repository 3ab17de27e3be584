"""What verifying rows gave."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from rich.table import Table
from rich.text import Text

from noskew.cli.render.entity_keys import key_text
from noskew.cli.render.styled_table import new_table
from noskew.streaming.status.verification import Verified
from noskew.types import DType


def verified_table(verified: Sequence[Verified]) -> Table:
    """How many rows of each view were compared, and how many are not as they should be."""
    kinds = ("different", "missing", "foreign", "behind")
    numbers = ("rows", *kinds, "repaired")
    table = new_table("Rows beside their log", "view", *numbers, "", numbers=numbers)
    for v in verified:
        counts = [_count(getattr(v, kind)) for kind in kinds]
        verdict = Text("✓ equal", "green") if v.is_equal else Text("✗ not equal", "red")
        table.add_row(v.view, f"{v.rows:,}", *counts, f"{v.repaired:,}", verdict)
    return table


def examples(verified: Verified, kinds: Mapping[str, DType]) -> Iterator[str]:
    """Some of the rows that differ, by their keys."""
    for key in verified.examples:
        yield f"  {verified.view}: {key_text(key, kinds)}"
    bad = verified.different + verified.missing + verified.foreign + verified.behind
    if bad > len(verified.examples):
        yield f"  {verified.view}: … {bad:,} in all"


def _count(count: int) -> Text:
    return Text(f"{count:,}", "bold red" if count else "dim")

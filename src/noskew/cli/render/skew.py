"""What an audit found, for people and as JSON."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from typing import Any

import orjson
from rich.table import Table
from rich.text import Text

from noskew.audit.report import Example, FeatureSkew, ServiceSkew, SkewReport
from noskew.cli.render.styled_table import new_table
from noskew.clock import to_text

_LOOK = {
    "equal": "",
    "behind": "yellow",
    "different": "bold red",
    "undecided": "magenta",
    "waiting": "cyan",
}
#: Examples that are shown of each feature.
_SHOWN = 3


def skew_tables(report: SkewReport) -> Iterator[Table]:
    """One table for each service: what was found of each of its features."""
    for skew in report.services:
        numbers = ("compared", *_LOOK)
        table = new_table(
            f"{skew.service}: {skew.rows:,} served rows", "feature", *numbers, "", numbers=numbers
        )
        for name, feature in skew.features.items():
            counts = [_count(kind, getattr(feature, kind)) for kind in _LOOK]
            table.add_row(name, f"{feature.compared:,}", *counts, _mark(feature))
        yield table


def examples(report: SkewReport) -> Iterator[str]:
    """Some of the values that are not equal, and what they probably come from."""
    for skew in report.services:
        yield from (f"  {skew.service}: {fault}" for fault in skew.faults)
        for name, feature in skew.features.items():
            for example in feature.examples[:_SHOWN]:
                yield from _lines(skew, name, example)


def as_text(report: SkewReport) -> str:
    """The report as JSON; NaN and infinities are strings, bytes are base64."""
    option = orjson.OPT_INDENT_2 | orjson.OPT_UTC_Z | orjson.OPT_NAIVE_UTC
    return orjson.dumps(_plain(report.to_dict()), option=option, default=str).decode()


def _lines(skew: ServiceSkew, name: str, example: Example) -> Iterator[str]:
    keys = ", ".join(f"{k}={v}" for k, v in example.keys.items())
    yield f"  {skew.service}.{name} of {keys} at {to_text(example.t)}: {example.verdict}"
    yield f"    served {example.served!r}, the facts known by then give {example.known!r}"
    if example.verdict == "different":
        yield f"    the facts folded by then give {example.folded!r}"
    if example.version is not None:
        known, number = example.version
        yield f"    the row was of {to_text(known)}, number {number}"
    yield f"    {example.cause}"


def _count(kind: str, count: int) -> Text:
    return Text(f"{count:,}", _LOOK[kind] if count else "dim")


def _mark(feature: FeatureSkew) -> Text:
    if feature.different:
        return Text("✗ skew", "red")
    if not feature.compared:
        return Text("nothing compared", "dim")
    return Text("✓ equal", "green") if not feature.behind else Text("✓ behind at times", "green")


def _plain(value: Any) -> Any:
    """As JSON can hold it, losing nothing."""
    if isinstance(value, dict):
        return {name: _plain(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if isinstance(value, float) and value - value != 0:
        return {"inf": "Infinity", "-inf": "-Infinity"}.get(str(value), "NaN")
    return base64.b64encode(value).decode() if isinstance(value, bytes) else value

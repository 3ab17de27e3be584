"""What a benchmark measured, what was wanted, and the table of both."""

from __future__ import annotations

import json
import statistics
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from rich.console import Console
from rich.table import Table

#: What a target compares: our value, our value over the limit's, or a peer's over ours.
Of = Literal["value", "ratio", "peer"]
_RATES = ("/s",)
_SECONDS = ((1.0, "s"), (1e-3, "ms"), (1e-6, "µs"))
_MEBIBYTE = (float(1 << 20), "MiB")


@dataclass(frozen=True)
class Target:
    """A bound on one figure: ``of`` at most ``most``, or at least ``least``."""

    of: Of
    most: float | None = None
    least: float | None = None
    peer: str = ""

    def figure(self, result: Result) -> float | None:
        """The number the bound is for; None if it was not measured."""
        if self.of == "value":
            return result.value
        if self.of == "ratio":
            return result.ratio
        return result.over_peer(self.peer)

    def met(self, result: Result) -> bool | None:
        """Whether the bound holds; None if the figure is absent."""
        figure = self.figure(result)
        return None if figure is None else self.holds(figure)

    def holds(self, figure: float) -> bool:
        """Whether a figure is within the bound."""
        return (self.most is None or figure <= self.most) and (
            self.least is None or figure >= self.least
        )

    def text(self, unit: str) -> str:
        sign, bound = ("≤", self.most) if self.most is not None else ("≥", self.least)
        assert bound is not None
        if self.of == "value":
            return f"{sign} {shown(bound, unit)}"
        if self.of == "ratio":
            return f"{sign} {bound:g}× limit"
        return f"{sign} {bound:g}× {self.peer}"


@dataclass
class Result:
    """One line of ``latest.json``. ``value`` and ``limit`` share ``unit``.

    ``noise``: for each side the range of its runs over their median. ``skipped``: why there is
    no value.
    """

    name: str
    value: float | None
    unit: str
    limit: float | None = None
    setup: str = ""
    peers: dict[str, float] = field(default_factory=dict)
    noise: dict[str, float] = field(default_factory=dict)
    skipped: str = ""

    @property
    def ratio(self) -> float | None:
        """Our time over the limit's (for rates the limit's over ours): 1 is perfect."""
        return _worse(self.value, self.limit, self.unit)

    def over_peer(self, peer: str) -> float | None:
        """How many times better than a peer we are."""
        return _worse(self.peers.get(peer), self.value, self.unit)

    @classmethod
    def from_dict(cls, stored: Mapping[str, Any]) -> Result:
        """The result that :meth:`to_dict` was made from."""
        names = ("name", "value", "unit", "limit", "setup", "peers", "noise", "skipped")
        return cls(**{name: stored[name] for name in names if name in stored})

    def to_dict(self, targets: Sequence[Target]) -> dict[str, Any]:
        verdicts = [t.met(self) for t in targets]
        known = [v for v in verdicts if v is not None]
        stored: dict[str, Any] = {
            "name": self.name,
            "value": self.value,
            "unit": self.unit,
            "limit": self.limit,
            "ratio_to_limit": self.ratio,
            "peers": self.peers,
            "setup": self.setup,
            "target": "; ".join(t.text(self.unit) for t in targets),
            "met": all(known) if known else None,
            "noise": self.noise,
        }
        return stored | ({"skipped": self.skipped} if self.skipped else {})


def _worse(ours: float | None, other: float | None, unit: str) -> float | None:
    if not ours or not other:
        return None
    return other / ours if unit.endswith(_RATES) else ours / other


def shown(value: float | None, unit: str) -> str:
    """A figure for people, with its unit."""
    if value is None:
        return "–"
    factor, name = _scale(value, unit)
    return f"{_number(value / factor, name)} {name}".strip()


def shown_range(values: Sequence[float], unit: str) -> str:
    """The median of some values and, where there are several, their range: ``2 ms (1.8–3.1)``."""
    middle = statistics.median(values)
    if len(values) == 1:
        return shown(middle, unit)
    factor, name = _scale(middle, unit)
    ends = (_number(end / factor, name) for end in (min(values), max(values)))
    return f"{shown(middle, unit)} ({'–'.join(ends)})"


def _scale(value: float, unit: str) -> tuple[float, str]:
    """What to divide a value by, and the unit of the quotient."""
    if unit == "s":
        return next((s for s in _SECONDS if abs(value) >= s[0]), _SECONDS[-1])
    if unit == "bytes" and value >= _MEBIBYTE[0]:
        return _MEBIBYTE
    return 1.0, unit


def _number(value: float, unit: str) -> str:
    if unit == "×":
        return f"{value:.2f}"
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def write_json(path: Path, value: Any) -> None:
    """Write JSON for people to read, its numbers with five digits."""
    path.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps(_rounded(value), indent=1, ensure_ascii=False)
    path.write_text(f"{text}\n", encoding="utf-8")


def show(results: Iterable[Result], targets: Mapping[str, Sequence[Target]]) -> None:
    """Print the table of results."""
    table = Table(title="noskew and its limits", title_justify="left")
    for head in ("what", "noskew", "limit", "ratio", "± runs", "target", "met", "peers"):
        table.add_column(head, justify="left" if head in ("what", "target", "peers") else "right")
    for r in results:
        wanted = targets.get(r.name, ())
        verdicts = [t.met(r) for t in wanted]
        table.add_row(
            r.name,
            r.skipped or shown(r.value, r.unit),
            shown(r.limit, r.unit),
            "–" if r.ratio is None else f"{r.ratio:.2f}×",
            " ".join(f"{100 * x:.0f} %" for x in list(r.noise.values())[:2]) or "–",
            "; ".join(t.text(r.unit) for t in wanted),
            " ".join({True: "yes", False: "[red]no[/red]", None: "–"}[v] for v in verdicts),
            ", ".join(f"{name} {shown(x, r.unit)}" for name, x in r.peers.items()),
        )
    # Piped into a file, it would be cut to 80 columns.
    Console(width=None if sys.stdout.isatty() else 180).print(table)


def _rounded(value: Any) -> Any:
    if isinstance(value, float):
        return float(f"{value:.5g}")
    if isinstance(value, dict):
        return {k: _rounded(v) for k, v in value.items()}
    if isinstance(value, list):
        return [_rounded(v) for v in value]
    return value

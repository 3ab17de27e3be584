"""Windows as lines of text: what a feature looks back on from the time ``t`` that is asked for."""

from __future__ import annotations

from collections.abc import Sequence
from math import log

from noskew.clock import duration_text
from noskew.definitions.aggregation import Latest
from noskew.definitions.view import Feature
from noskew.definitions.windows import EXACT_HOP

_WIDTH = 36


def timelines(features: Sequence[Feature], *, width: int = _WIDTH) -> list[tuple[str, str, str]]:
    """For each feature its name, its span drawn ``width`` wide with ``t`` at the right end, and
    a note on the hop.

    ``(━━━]`` is a window, open at its far end and closed at ``t``; ``[┄┄●]`` one newest value
    of at most that age; ``◂`` goes back to the beginning. Lengths grow with the logarithm of
    the span.

        (━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━]   7d, in steps of 6h
                       (━━━━━━━━━━━━━━━━━━━]   6h, in steps of 15min
    """
    spans = [_span(f) for f in features]
    limited = [s for s in spans if s]
    least, most = min(limited, default=1), max(limited, default=1)
    return [
        (f.name, _line(f, _length(span, least, most, width), width), _note(f))
        for f, span in zip(features, spans, strict=True)
    ]


def _span(feature: Feature) -> int | None:
    return feature.max_age if isinstance(feature.spec, Latest) else feature.window


def _length(span: int | None, least: int, most: int, width: int) -> int:
    """Characters of a line: the least span a quarter of the width, the greatest all of it."""
    if span is None or most == least:
        return width
    share = log(span / least) / log(most / least)
    return round(width * (0.25 + 0.75 * share))


def _line(feature: Feature, length: int, width: int) -> str:
    latest = isinstance(feature.spec, Latest)
    body = "┄" if latest else "━"
    if _span(feature) is None:
        start = "◂"
    else:
        start = "[" if latest else "("
    end = "●]" if latest else "]"
    return (start + body * (length - len(start) - len(end)) + end).rjust(width)


def _note(feature: Feature) -> str:
    span = _span(feature)
    if isinstance(feature.spec, Latest):
        return f"newest, at most {duration_text(span)} old" if span else "newest, however old"
    if span is None:
        return "all of history"
    hop = "exact" if feature.hop == EXACT_HOP else f"in steps of {duration_text(feature.hop)}"
    return f"{duration_text(span)}, {hop}"

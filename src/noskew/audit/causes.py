"""Causes: what a served value that is not equal probably comes from, in a sentence."""

from __future__ import annotations

import numpy as np

from noskew.audit.judgement import DIFFERENT, Judged
from noskew.audit.recomputation import Served
from noskew.clock import to_text
from noskew.definitions.service import FeatureService, ServiceColumn
from noskew.kernel.bits import differing


def skew_cause(service: FeatureService, judged: Judged, column: ServiceColumn, row: int) -> str:
    """The cause for one feature of one row, by its place among those judged."""
    if not column.is_stored:
        if judged.verdicts[column.name][row] == DIFFERENT:
            return (
                f"the function {column.origin.name} gives another value now: an input is "
                f"different, it looks at more than its inputs, or a library that it uses changed"
            )
        return "an input of the function was behind"
    view = [v.name for v in service.views].index(column.origin.name)
    folded = judged.rows.folded[view]
    version = version_of_row(judged.rows, view, row)
    if judged.verdicts[column.name][row] == DIFFERENT:
        if version is None:
            return (
                "the online store had no row, although facts of this entity had been folded: it "
                "lost the row"
            )
        return (
            "the row in the online store is not what its facts give: it was damaged, or written "
            "by something else"
        )
    if _is_older(judged, column.name, row):
        return (
            "the online store had an older row than had been written: it lost a write that it had "
            "acknowledged"
        )
    if folded.is_streamed[row]:
        return "the stream had not folded all events known by then, or facts were ingested later"
    coverage = folded.coverage[row]
    until = (coverage or {}).get("until")
    if version is not None and (until is None or version[0] > until):
        until = version[0]
    if until is None:
        return "the view was not materialized yet"
    return f"materialized up to {to_text(until)}: facts became known later, or were ingested later"


def version_of_row(rows: Served, view: int, row: int) -> tuple[int, int] | None:
    """(known time, number) of the row that was read for a view; None if there was none."""
    return max(rows.folded[view].each[row], default=None)


def _is_older(judged: Judged, name: str, row: int) -> bool:
    """Whether only the row's own version explains its value."""
    at = int(np.searchsorted(judged.at, row))
    served = judged.rows.feature(name).slice(row, 1)
    return bool(differing(served, judged.folded.columns[name].slice(at, 1))[0])

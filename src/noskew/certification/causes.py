"""The likely cause of a difference, from the paths that it shows on and from how values differ."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence

from noskew.certification.outcomes import Unequal

MOODY = "it fails on some batches although it fails on none of their rows alone"
FAILS_ELSEWHERE = "it does not run in another process, as servers, streams and Spark would run it"
FAILS_ON_NOTHING = "it fails on a batch without rows, which a filter or a quiet stream may give it"
_FAULT_OF_OURS = "this is a fault in noskew, please report it"


def difference_cause(unequal: Mapping[str, Sequence[Unequal]]) -> str:
    """Why a transform gives different events on different paths.

    ``unequal``: the differences from bulk, by path; those without any may be absent.
    """
    paths = {name for name, some in unequal.items() if some}
    if "repeated" in paths:
        return (
            "it gives something else each time it is called: it reads the clock or chance, or "
            "keeps something between calls"
        )
    if paths == {"another process"}:
        return (
            "another process gives something else: it depends on the order of a set, on hash(), "
            "or on something kept in a module or the environment"
        )
    everything = [u for some in unequal.values() for u in some]
    if any(not u.column for u in everything):
        return _of_fates(everything)
    alone = unequal.get("one row at a time", ())
    if shift := _of_numbers(alone):
        return shift
    if "shuffled" in paths:
        return (
            "a row's value depends on the rows before it (cumsum, shift, diff, ffill, rank, "
            "or a counter): features that look at other events are aggregates, such as ns.sum(…)"
        )
    return (
        "a row's value depends on the batch around it: on a statistic of the batch, its size, or "
        "on whether another row is null (which changes the types of a frame's columns)"
    )


def _of_fates(everything: Sequence[Unequal]) -> str:
    fails = [u for u in everything if "fails" in f"{u.left}{u.right}"]
    if fails:
        return (
            "it fails on some batches and not on others that hold the same row, so it looks at "
            "more than the row (its size, or the types that a frame's columns happen to have)"
        )
    return (
        "which rows are left out depends on the batch around them (drop_duplicates, head, "
        "sample, or a comparison with a statistic of the batch)"
    )


def _of_numbers(alone: Sequence[Unequal]) -> str:
    """What the values of single rows tell: a mean taken off leaves nothing of a single row."""
    by_column: dict[str, list[Unequal]] = {}
    for u in alone:
        if _is_number(u.left) or _is_number(u.right):
            by_column.setdefault(u.column, []).append(u)
    for column, some in by_column.items():
        numbers = Counter(_rounded(u.right) for u in some)
        if len(some) < 3:
            continue
        value, count = numbers.most_common(1)[0]
        if count < 0.8 * len(some):
            continue
        if value in (None, "nan"):
            return (
                f"a single row has no value in {column!r}: it is divided by a spread of the batch "
                f"(as a z-score is), or needs an earlier row (shift, diff, ffill)"
            )
        if value == 0:
            return (
                f"a single row always has 0 in {column!r}: the batch's mean (or minimum, or first "
                f"row) is subtracted, so a row's value depends on the batch around it"
            )
        return (
            f"a single row always has {value} in {column!r}: it is a rank, a count, or a share of "
            f"the batch, so a row's value depends on the batch around it"
        )
    return ""


def _is_number(value: object) -> bool:
    return isinstance(value, float | int) and not isinstance(value, bool)


def _rounded(value: object) -> object:
    if isinstance(value, float):
        return "nan" if math.isnan(value) else round(value, 9)
    return value


def cause_in_features(path: str) -> str:
    """Why answers differ although the events are the same."""
    return f"the same events give another answer on the path {path!r}: {_FAULT_OF_OURS}"


def of_engine(engine: str) -> str:
    """Why an engine that runs the SELECT itself gives other events than DuckDB."""
    return (
        f"{engine} computes something else than DuckDB here, because of its version, a setting of "
        f"its server, or the last bits of a function: leave native=True out, or write it otherwise"
    )


def of_runner() -> str:
    """Why tasks of Spark give other events than this process."""
    return (
        "a process of Spark gives something else than this one: it depends on the environment, or "
        "on what is installed where tasks run"
    )

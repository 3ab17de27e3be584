"""Costs that grow with the number of definitions, at the size that noskew is for.

The project of :mod:`bench.size_project` is applied, loaded, asked by commands, changed and
served; the commands are asked of a project of a handful of views as well. Processes are timed as
a whole. What is slow is repeated less often, so that the section takes some minutes at most.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from bench import data, size_commands, size_serve
from bench.result import Result, shown
from bench.size_project import ENTITIES, HANDFUL, MISSION, TENTH, ProjectSize, source_name, write
from bench.timing import child, median, noise_of

EVENTS = 10_000


def run(*, runs: int, tenth: bool = False) -> Iterator[Result]:
    """Everything at one size; ``tenth``: of a tenth of it."""
    small, large = data.fresh("size-small"), data.fresh("size")
    size = TENTH if tenth else MISSION
    write(small, HANDFUL)
    size_commands.apply_first(small)
    _load(small, 1)
    yield from size_commands.read("cli", small, HANDFUL, runs)
    write(large, size)
    yield size_commands.apply_all(large, size, runs)
    yield from _loads(large, size, runs)
    yield from size_commands.read("size.cli", large, size, runs)
    yield from size_commands.change(large, size, runs)
    yield from size_serve.run(large, size, runs)


def _load(root: Path, runs: int) -> dict[str, list[tuple[float, float]]]:
    """Ingest into the views of one source, and materialize them, in a process of its own."""
    task = {"root": str(root), "source": source_name(0), "events": EVENTS, "runs": runs}
    return child("bench.size_loads", task)


def _loads(root: Path, size: ProjectSize, runs: int) -> Iterator[Result]:
    """What a view costs in each, whatever it holds."""
    seconds, work = {}, {}
    for step, times in _load(root, runs).items():
        seconds[step] = [wall / size.views_of_a_source for wall, _ in times]
        work[step] = median([processor / size.views_of_a_source for _, processor in times])
    setup = (
        f"{EVENTS:,} events of {ENTITIES:,} entities, one more load of {size.views_of_a_source} "
        f"views, over the number of views; one process, {size.text}; {len(seconds['ingest'])} runs"
    )
    yield Result(
        "size.ingest.view",
        median(seconds["ingest"]),
        "s",
        median(seconds["limit"]),
        f"{setup}, {shown(work['ingest'], 's')} of processor time; limit: the same events written "
        f"to a Parquet file a view",
        noise=noise_of({"noskew": seconds["ingest"], "limit": seconds["limit"]}),
    )
    yield Result(
        "size.materialize.view",
        median(seconds["materialize"]),
        "s",
        setup=f"{setup}, {shown(work['materialize'], 's')} of processor time",
        noise=noise_of({"noskew": seconds["materialize"]}),
    )

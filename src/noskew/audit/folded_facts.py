"""Folded facts: what a row's version, and its store's coverage, say of what it has folded."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from noskew.audit.entity_facts import EntityFacts, Folded
from noskew.clock import MIN_TIME
from noskew.kernel.arrays import Index, Mask
from noskew.kernel.rows.codec import NEVER, OFFSET_BITS, VERSION_BYTES, version_of
from noskew.registry.records.streaming import StreamGeneration

_LAST = np.iinfo(np.int64).max
_BELOW = (1 << OFFSET_BITS) - 1


@dataclass(frozen=True)
class MaterializedBound:
    """Facts known by a time whose sequence is not above a bound; both int64, one each row."""

    known_to: Index
    sequence: Index

    def admits(self, facts: EntityFacts, at: Index, row: Index) -> Mask:
        known_to, last = self.known_to[row], self.sequence[row]
        known = (facts.known[at] <= known_to) & (facts.sequence[at] <= last)
        return known & ~((facts.until[at] <= known_to) & (facts.retraction[at] <= last))

    def order(self, facts: EntityFacts, at: Index) -> Index:
        return facts.sequence[at]


@dataclass(frozen=True)
class Streamed:
    """Facts of a log before an offset of their partition, and older ones up to a sequence.

    ``offsets``: int64, shape (rows, partitions). The order of facts is that of the stream.
    """

    log: str
    history: int
    offsets: NDArray[np.int64]

    def admits(self, facts: EntityFacts, at: Index, row: Index) -> Mask:
        counts = facts.beside_log(self.log).take(at).counts(self.history, self.offsets, row)
        return counts & (facts.retraction[at] > self.history)

    def order(self, facts: EntityFacts, at: Index) -> Index:
        return facts.beside_log(self.log).take(at).sequence()


@dataclass(frozen=True)
class Runs:
    """Runs of ``materialize`` that are known: (until, snapshot number, last sequence)."""

    known: frozenset[tuple[int, int, int]]

    def bounds(self, until: int, number: int) -> tuple[int, int]:
        """Between what the last sequence of a run is that is known by its version.

        What a snapshot holds, later ones hold, too; and a run finds the last of what was known
        by its time.
        """
        least = [s for _, n, s in self.known if n <= number]
        most = [s for u, n, s in self.known if n >= number and u >= until]
        return max(least, default=-1), min(most, default=_LAST)


@dataclass(frozen=True)
class BoundGroup:
    """Rows whose facts are bounded in one way. Bounds are for all rows of the view, in their order.

    ``most``: what may have been folded, too; where that is more, nothing is certain. ``own``: what
    the row itself says where the view's coverage says more: it is an older one than it should be.
    """

    rows: Index
    folded: Folded
    most: Folded | None = None
    own: Folded | None = None
    own_rows: Index | None = None


@dataclass(frozen=True)
class FoldedFacts:
    """What the rows of a view that were served had folded.

    Parameters
    ----------
    versions, coverages
        Columns of the table of served answers; see :class:`ServedTable`.
    generation
        That of the view's streamed rows, as the registry has it now; None: it is not streamed.
    runs
        What else is known of runs.
    """

    versions: pa.Array
    coverages: pa.Array
    has_parts: bool
    generation: StreamGeneration | None
    runs: Iterable[tuple[int, int, int]]

    @cached_property
    def known(self) -> Index:
        """The known time of each row of the online store; NEVER where there was none."""
        return np.array([max(k for k, _ in v) if v else NEVER for v in self.each], np.int64)

    @cached_property
    def each(self) -> list[list[tuple[int, int]]]:
        """(known time, number) of each row, or of its parts; of a part that is not there zeros."""
        by_bytes: dict[bytes | None, list[tuple[int, int]]] = {None: []}
        out = []
        for version in self.versions.to_pylist():
            if version not in by_bytes:
                parts = range(0, len(version), VERSION_BYTES)
                by_bytes[version] = [version_of(version[i : i + VERSION_BYTES]) for i in parts]
            out.append(by_bytes[version])
        return out

    @cached_property
    def coverage(self) -> list[Mapping[str, Any] | None]:
        """What the online store said that it covers, before each row was read."""
        coded = self.coverages.dictionary_encode()
        parsed = [json.loads(text) for text in coded.dictionary.to_pylist()]
        return [None if i is None else parsed[i] for i in coded.indices.to_pylist()]

    @property
    def is_streamed(self) -> Mask:
        """Which rows a stream kept."""
        default = self.generation is not None
        return np.array([default if g is None else "offsets" in g for g in self.coverage], bool)

    def groups(self) -> list[BoundGroup]:
        """The rows of which it can be said what they had folded."""
        streamed = self.is_streamed
        groups = [self._materialized(np.flatnonzero(~streamed))]
        by_generation: dict[int, list[int]] = {}
        for i in np.flatnonzero(streamed).tolist():
            if self.each[i] or self.coverage[i] is not None:
                by_generation.setdefault(self._generation(i), []).append(i)
        for generation, rows in by_generation.items():
            log = self._logs.get(generation)
            if log is not None:
                groups.append(self._streamed(np.array(rows), generation, *log))
        return [group for group in groups if len(group.rows)]

    # ---------------------------------------------------------------- materialized rows

    def _materialized(self, rows: Index) -> BoundGroup:
        n = len(self.each)
        runs = self._runs
        folded, most, own = (_nothing(n) for _ in range(3))
        chosen, older = [], []
        for i in rows.tolist():
            coverage, version = self.coverage[i], self.each[i]
            claim = None
            if coverage is not None and coverage["until"] is not None:
                claim = (coverage["until"], coverage["number"], coverage["sequence"])
            if version and (claim is None or version[0] >= claim[:2]):
                claim = (*version[0], None)
            elif version:
                # Where it is not known which facts that run found, all that it could find.
                _set(None, own, i, (*version[0], None), runs)
                older.append(i)
            elif coverage is None:
                continue
            if claim is not None:
                _set(folded, most, i, claim, runs)
            chosen.append(i)
        return BoundGroup(np.array(chosen, np.int64), folded, most, own, np.array(older, np.int64))

    @cached_property
    def _runs(self) -> Runs:
        covered = [g for g in self.coverage if g is not None and g.get("sequence") is not None]
        known = {(g["until"], g["number"], g["sequence"]) for g in covered}
        return Runs(frozenset({*known, *self.runs}))

    # ---------------------------------------------------------------- streamed rows

    def _generation(self, i: int) -> int:
        numbers = [number for _, number in self.each[i]]
        if numbers:
            return max(numbers) >> OFFSET_BITS
        coverage = self.coverage[i]
        assert coverage is not None
        return int(coverage["generation"])

    @cached_property
    def _logs(self) -> dict[int, tuple[str, int]]:
        """Log and history by generation."""
        logs = {}
        now = self.generation
        if now is not None:
            logs[now.number] = (now.log, now.history)
        for coverage in self.coverage:
            if coverage is not None and coverage.get("log") is not None:
                logs[coverage["generation"]] = (coverage["log"], coverage["history"])
        return logs

    def _streamed(self, rows: Index, generation: int, log: str, history: int) -> BoundGroup:
        n = len(self.each)
        partitions = max((len(g.get("offsets", ())) for g in self.coverage if g), default=0)
        partitions = max([partitions, 1, *(len(v) - 1 for v in self.each)])
        folded, own = np.zeros((n, partitions), np.int64), np.zeros((n, partitions), np.int64)
        older = []
        for i in rows.tolist():
            coverage = self.coverage[i]
            if coverage is not None and coverage.get("generation") == generation:
                folded[i, : len(coverage["offsets"])] = coverage["offsets"]
            version = self.each[i]
            if version:
                own[i] = self._own(version, folded[i])
                if (own[i] < folded[i]).any():
                    older.append(i)
                folded[i] = np.maximum(folded[i], own[i])
        return BoundGroup(
            rows,
            Streamed(log, history, folded),
            None,
            Streamed(log, history, own),
            np.array(older, np.int64),
        )

    def _own(self, version: Sequence[tuple[int, int]], claimed: Index) -> Index:
        """The offsets that a row's versions say: of its own partition, or of each part's.

        A part that is not there says nothing: for it counts what the store said.
        """
        if not self.has_parts:
            return np.full(len(claimed), version[0][1] & _BELOW)
        out = claimed.copy()
        for partition, (known, number) in enumerate(version[1:]):
            if known != NEVER:
                out[partition] = number & _BELOW
        return out


def _nothing(n: int) -> MaterializedBound:
    return MaterializedBound(np.full(n, MIN_TIME - 1), np.full(n, -1))


def _set(
    folded: MaterializedBound | None,
    most: MaterializedBound,
    i: int,
    claim: tuple[int, int, int | None],
    runs: Runs,
) -> None:
    until, number, sequence = claim
    least, greatest = (sequence, sequence) if sequence is not None else runs.bounds(until, number)
    for bound, value in ((folded, least), (most, greatest)):
        if bound is not None:
            bound.known_to[i], bound.sequence[i] = until, value

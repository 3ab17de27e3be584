"""The plan: what an apply would change, whom it would break, and what must be rebuilt."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Literal, Protocol

from noskew.definitions.project import Definition, Project
from noskew.definitions.view import FeatureView
from noskew.registry.difference import Readers
from noskew.registry.differences import added, changed, removed
from noskew.registry.versions import KINDS, LOG, Applied, hash_of, hashes_of

Action = Literal["added", "changed", "removed", "unchanged"]
#: ``log``: events must be ingested again into a new offline table, and online rows rebuilt
#: from it; ``online``: online rows must be rebuilt from the offline table that is there.
Backfill = Literal["none", "log", "online"]
_SIGNS: Mapping[str, str] = {"added": "+", "changed": "~", "removed": "-", "unchanged": " "}
_EMPTY = Applied(0, Project())


class Sizes(Protocol):
    """How many events sources have, as far as that is known; a dict is one."""

    def get(self, source: str, /) -> int | None: ...


@dataclass(frozen=True, slots=True)
class Change:
    """What happens to one definition.

    ``breaking``: somebody who reads now would miss a feature, get another type, or have to
    send other keys or fields. ``reasons`` are the exact differences, one a line. ``rows``: about
    how many events a backfill reads, where the size of the source is known.
    """

    kind: str
    name: str
    action: Action
    breaking: bool = False
    reasons: tuple[str, ...] = ()
    backfill: Backfill = "none"
    rows: int | None = None

    def summary(self) -> str:
        """The change as lines of text, the first with the sign ``+``, ``~`` or ``-``."""
        flag = " (breaking)" if self.breaking else ""
        lines = [f"{_SIGNS[self.action]} {label(self.kind)} {self.name}{flag}"]
        lines += [f"    {reason}" for reason in self.reasons]
        if self.backfill != "none":
            what = {"log": "ingest into a new offline table", "online": "rebuild online rows"}
            size = "" if self.rows is None else f" ≈ {self.rows:,} rows"
            lines.append(f"    backfill{size}: {what[self.backfill]}")
        return "\n".join(lines)


@dataclass(frozen=True, slots=True)
class Plan:
    """Every definition and what happens to it, from ``base_version`` on."""

    changes: tuple[Change, ...]
    base_version: int = 0

    @property
    def is_empty(self) -> bool:
        """Whether an apply would change nothing."""
        return all(c.action == "unchanged" for c in self.changes)

    @property
    def breaking(self) -> tuple[Change, ...]:
        return tuple(c for c in self.changes if c.breaking)

    @property
    def backfills(self) -> tuple[Change, ...]:
        return tuple(c for c in self.changes if c.backfill != "none")

    def __str__(self) -> str:
        return self.summary()

    def of(self, kind: str, name: str) -> Change | None:
        """The change of one definition, None if neither side has it."""
        return next((c for c in self.changes if (c.kind, c.name) == (kind, name)), None)

    def summary(self) -> str:
        """The plan as plain text: one paragraph a change, then the counts."""
        if self.is_empty:
            return f"nothing to do: {len(self.changes)} definitions are as applied"
        parts = [c.summary() for c in self.changes if c.action != "unchanged"]
        counts = [f"{sum(c.action == action for c in self.changes)} {action}" for action in _SIGNS]
        total = ", ".join(counts)
        if self.breaking:
            total += f"; {len(self.breaking)} breaking"
        if self.backfills:
            known = sum(c.rows or 0 for c in self.backfills)
            open_ended = any(c.rows is None for c in self.backfills)
            size = f" ≈ {known:,} rows" if known else ""
            size += " and some of unknown size" if known and open_ended else ""
            total += f"; {len(self.backfills)} to backfill{size}"
        return "\n".join([*parts, total])


def plan(
    current: Applied | Project | None,
    desired: Project,
    *,
    sizes: Sizes | None = None,
) -> Plan:
    """What must happen so that ``desired`` is served instead of ``current``.

    Parameters
    ----------
    current
        What a registry gave; a bare Project counts as version 0, None as nothing applied.
    sizes
        Source name → number of its events, where known, for the size of backfills. Only asked
        for what must be filled.

    Pure: reads nothing but its arguments. Time is linear in the number of features, and definitions
    that did not change are not made of their data.
    """
    base = Applied(0, current) if isinstance(current, Project) else current or _EMPTY
    hashes = base.hashes or hashes_of(base.project)
    readers = Readers.of(base.project)
    logs = frozenset(hashes.get(LOG, {}).values())
    changes = []
    for kind, where, name in _names(base.project, desired):
        before: Mapping[str, Definition] = getattr(base.project, where)
        after: Mapping[str, Definition] = getattr(desired, where)
        applied = hashes.get(kind, {}).get(name)
        if name in before and name in after:
            same = base.project.json(where, name) == desired.json(where, name)
            if same and applied == hash_of(after[name]):
                changes.append(Change(kind, name, "unchanged"))
                continue
        old, new = before.get(name), after.get(name)
        stale = old is not None and applied != hash_of(old)
        change = _change(kind, name, old, new, readers, stale=stale)
        if isinstance(new, FeatureView) and change.action != "unchanged":
            change = _with_backfill(change, old, new, logs, stale=stale, sizes=sizes or {})
        changes.append(change)
    return Plan(tuple(changes), base.version)


def _names(old: Project, new: Project) -> Iterator[tuple[str, str, str]]:
    """Kind, attribute of a project and name of every definition of either."""
    for kind, where in KINDS.items():
        for name in sorted({*getattr(old, where), *getattr(new, where)}):
            yield kind, where, name


def _change(
    kind: str,
    name: str,
    old: Definition | None,
    new: Definition | None,
    readers: Readers,
    *,
    stale: bool,
) -> Change:
    action: Action
    if old is None:
        assert new is not None
        action, difference = "added", added(new)
    elif new is None:
        action, difference = "removed", removed(old, readers)
    else:
        difference = changed(old, new, readers, stale=stale)
        action = "changed" if difference.reasons else "unchanged"
    return Change(kind, name, action, difference.breaking, tuple(difference.reasons))


def _with_backfill(
    change: Change,
    old: Definition | None,
    new: FeatureView,
    logs: frozenset[str],
    *,
    stale: bool,
    sizes: Sizes,
) -> Change:
    """What must be rebuilt for an added or changed view. Other kinds hold no rows."""
    was_online = isinstance(old, FeatureView) and old.online and not stale
    backfill: Backfill = "none"
    if new.log_hash not in logs:
        backfill = "log"
    elif new.online and not (was_online and old is not None and hash_of(old) == hash_of(new)):
        backfill = "online"
    rows = sizes.get(new.source.name) if backfill != "none" else None
    return replace(change, backfill=backfill, rows=rows)


def label(kind: str) -> str:
    """A kind in words: ``feature_view`` → ``feature view``."""
    return "on-demand" if kind == "on_demand" else kind.replace("_", " ")

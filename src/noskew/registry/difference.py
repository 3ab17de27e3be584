"""Differences between two definitions of one name, put into words."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from noskew.clock import duration_text
from noskew.definitions.project import Definition, Project
from noskew.types import Schema

#: Longest text that a reason shows of either side.
_SHOWN = 72
_CONTEXT = 24
#: The hash of what was applied is not the one that the same definition has today.
STALE = "an engine, or noskew, has another major version than when it was applied"


@dataclass(slots=True)
class Difference:
    """Reasons, in order, and whether one of them breaks a reader."""

    reasons: list[str] = field(default_factory=list)
    breaking: bool = False

    def add(self, reason: str, *, breaking: bool = False) -> None:
        self.reasons.append(reason)
        self.breaking |= breaking

    def field(self, name: str, old: object, new: object, *, breaking: bool = False) -> bool:
        """``name: old -> new`` if they differ; tells whether they do."""
        if old != new:
            self.add(f"{name}: {shown_change(old, new)}", breaking=breaking)
        return old != new

    def duration(self, name: str, old: int | None, new: int | None) -> bool:
        """The same for microseconds; None is no limit."""
        return self.field(name, _duration(old), _duration(new))

    def people(self, old: Definition, new: Definition) -> None:
        """What is there for people and changes no value."""
        self.field("description", old.description, new.description)
        self.field("owner", old.owner, new.owner)
        for tag in sorted({*old.tags, *new.tags}):
            self.field(f"tag {tag}", old.tags.get(tag), new.tags.get(tag))


@dataclass(frozen=True, slots=True)
class Readers:
    """Who reads a feature: (kind, name of the view or on-demand, feature) → names in words."""

    by_feature: Mapping[tuple[str, str, str], tuple[str, ...]]

    @classmethod
    def of(cls, project: Project) -> Readers:
        readers: dict[tuple[str, str, str], list[str]] = {}
        # From data: of thousands of services a plan makes those that differ.
        for name in project.services:
            data = project.data("services", name)
            columns = [("feature_view", view, n) for view, names in data["views"] for n in names]
            for function in data["on_demand"]:
                outputs = project.data("on_demand", function)["outputs"]
                columns += [("on_demand", function, output) for output, _ in outputs]
            for column in columns:
                readers.setdefault(column, []).append(f"the service {name}")
        for name in project.on_demand:
            for view, names in project.data("on_demand", name)["inputs"]:
                for feature in names:
                    key = ("feature_view", view, feature)
                    readers.setdefault(key, []).append(f"the on-demand {name}")
        return cls({key: tuple(sorted(set(names))) for key, names in readers.items()})

    def clause(self, kind: str, owner: str, feature: str) -> str:
        """``", which the service delay_model reads"``, or nothing."""
        names = self.by_feature.get((kind, owner, feature), ())
        if not names:
            return ""
        return (
            f", which {joined_names(names, last=' and ')} {'reads' if len(names) == 1 else 'read'}"
        )


NOBODY = Readers({})


def features(
    difference: Difference,
    owner: tuple[str, str],
    old: Schema,
    new: Schema,
    readers: Readers = NOBODY,
) -> None:
    """Features that go, come, or change their type. Going and changing type are breaking.

    ``owner`` is the kind and the name of the definition.
    """
    for name in old:
        clause = readers.clause(*owner, name)
        if name not in new:
            difference.add(f"removes feature {name} ({old[name]}){clause}", breaking=True)
        elif old[name] != new[name]:
            types = shown_change(old[name], new[name])
            difference.add(f"type of feature {name}: {types}{clause}", breaking=True)
    for name in new:
        if name not in old:
            difference.add(f"adds feature {name} ({new[name]})")


def column_differences(
    difference: Difference, what: str, old: Schema, new: Schema, *, breaking: bool = False
) -> bool:
    """Columns, keys or fields that go, come, change type or order; tells whether any does."""
    for name in old:
        if name not in new:
            difference.add(f"removes {what} {name} ({old[name]})", breaking=breaking)
        elif old[name] != new[name]:
            types = shown_change(old[name], new[name])
            difference.add(f"type of {what} {name}: {types}", breaking=breaking)
    for name in new:
        if name not in old:
            difference.add(f"adds {what} {name} ({new[name]})", breaking=breaking)
    if [n for n in old if n in new] != [n for n in new if n in old]:
        difference.add(f"order of {what}s: {shown_change(joined_names(old), joined_names(new))}")
    return old != new


def shown_change(old: object, new: object) -> str:
    """``old -> new``; of long texts the part that differs, in its surroundings."""
    a, b = _line(old), _line(new)
    if a == b:
        return "white space only"
    if max(len(a), len(b)) > _SHOWN:
        a, b = _excerpts(a, b)
    return f"{a} -> {b}"


def joined_names(names: Iterable[str], *, last: str = ", ", most: int = 12) -> str:
    """Names with commas, at most ``most`` of them."""
    shown = list(names)
    if len(shown) > most:
        shown = [*shown[:most], f"{len(shown) - most} more"]
    return last.join([", ".join(shown[:-1]), shown[-1]]) if len(shown) > 1 else "".join(shown)


def _line(value: Any) -> str:
    text = " ".join(str(value).split()) if value is not None else "none"
    return text or "none"


def _excerpts(a: str, b: str) -> tuple[str, str]:
    shortest = min(len(a), len(b))
    start = next((i for i in range(shortest) if a[i] != b[i]), shortest)
    end = next((i for i in range(shortest - start) if a[-1 - i] != b[-1 - i]), shortest - start)
    return _cut(a, start, len(a) - end), _cut(b, start, len(b) - end)


def _cut(text: str, start: int, end: int) -> str:
    first = max(0, start - _CONTEXT)
    last = min(len(text), end + _CONTEXT, first + 2 * _SHOWN)
    return ("…" if first else "") + text[first:last].strip() + ("…" if last < len(text) else "")


def _duration(micros: int | None) -> str | None:
    return None if micros is None else duration_text(micros) if micros else "0"

"""What an audit found: a report for people and for programs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from noskew.clock import to_text


@dataclass(frozen=True)
class Example:
    """A served value that is not equal.

    Attributes
    ----------
    verdict
        "behind" or "different".
    keys, t
        Whose it was, and the time (µs) that it was asked for.
    served, known, folded
        The value that was served, the one that the facts known by ``t`` give, and the one that
        those that had been folded give.
    version
        (known time, number) of the row in the online store; None: there was none.
    cause
        What it probably comes from.
    """

    verdict: str
    keys: Mapping[str, Any]
    t: int
    served: Any
    known: Any
    folded: Any
    version: tuple[int, int] | None
    cause: str

    def to_dict(self) -> dict[str, Any]:
        """As JSON data, but for the values, which are Python's."""
        version = None
        if self.version is not None:
            version = {"known_time": to_text(self.version[0]), "number": self.version[1]}
        return {
            "verdict": self.verdict,
            "keys": dict(self.keys),
            "t": to_text(self.t),
            "served": self.served,
            "known": self.known,
            "folded": self.folded,
            "version": version,
            "cause": self.cause,
        }


@dataclass
class FeatureSkew:
    """What was found of one feature.

    Attributes
    ----------
    compared
        Served values that were computed again: those that are ``equal``, ``behind`` or
        ``different``.
    equal
        What the facts known by the time of the answer give, bit for bit.
    behind
        What the facts give that the online store had folded by then: fresh values were late.
    different
        Neither: skew.
    undecided, waiting
        Values that were not compared: nobody knows any more what had been folded; or facts of
        their time are not in the offline store yet.
    examples
        Some that are different, then some that are behind.
    """

    compared: int = 0
    equal: int = 0
    behind: int = 0
    different: int = 0
    undecided: int = 0
    waiting: int = 0
    examples: list[Example] = field(default_factory=list)

    def counts(self) -> dict[str, int]:
        """The counts by name."""
        names = ("compared", "equal", "behind", "different", "undecided", "waiting")
        return {name: getattr(self, name) for name in names}


@dataclass
class ServiceSkew:
    """What was found of one service, under all definitions of it that were served.

    ``rows``: how many served rows were looked at. ``faults``: why some could not be computed again.
    """

    service: str
    rows: int = 0
    features: dict[str, FeatureSkew] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)


@dataclass
class SkewReport:
    """What an audit found of what was served from ``since`` to ``until``, both in µs.

    ``since``: None is the beginning.
    """

    since: int | None
    until: int
    services: list[ServiceSkew] = field(default_factory=list)

    @property
    def is_equal(self) -> bool:
        """Whether nothing is different."""
        return not self.different

    @property
    def different(self) -> int:
        """Values that are different, of all services."""
        return self.total("different")

    def total(self, count: str) -> int:
        """One of the counts of :class:`FeatureSkew`, of all features of all services."""
        return sum(feature.counts()[count] for _, _, feature in self)

    def __iter__(self) -> Iterator[tuple[str, str, FeatureSkew]]:
        """Every feature, with the names of its service and its own."""
        for service in self.services:
            for name, feature in service.features.items():
                yield service.service, name, feature

    def to_dict(self) -> dict[str, Any]:
        """As JSON data, but for values of examples, which are Python's."""
        return {
            "since": None if self.since is None else to_text(self.since),
            "until": to_text(self.until),
            "different": self.different,
            "services": [
                {
                    "service": s.service,
                    "rows": s.rows,
                    "faults": s.faults,
                    "features": {
                        name: {**f.counts(), "examples": [e.to_dict() for e in f.examples]}
                        for name, f in s.features.items()
                    },
                }
                for s in self.services
            ],
        }

    def __repr__(self) -> str:
        values = sum(f.compared for _, _, f in self)
        return (
            f"<SkewReport: {len(self.services)} services, {values:,} values compared, "
            f"{self.different:,} different>"
        )

"""What is recorded of answers: the definitions they were kept of, and what audits counted."""

from __future__ import annotations

from typing import Any

import msgspec


class ServedDefinition(msgspec.Struct, frozen=True):
    """A service whose answers are kept.

    Attributes
    ----------
    service
        Its name.
    table
        The offline table of its answers.
    definitions
        The service with all that it is made of, as ``Project.to_dict`` gives it.
    """

    service: str
    table: str
    definitions: dict[str, Any]


class SkewCounts(msgspec.Struct, frozen=True):
    """Served values of one feature, by what an audit said of them.

    ``compared`` values were computed again: they are ``equal``, ``behind`` (as the facts folded by
    then have it, of which some were missing yet) or ``different``. Of ``undecided`` ones nothing
    could be said; the facts of ``waiting`` ones are not in the offline store yet.
    """

    compared: int
    equal: int
    behind: int
    different: int
    undecided: int
    waiting: int


class SkewAudit(msgspec.Struct, frozen=True):
    """The last audit of a service.

    Attributes
    ----------
    at
        When it was made (µs).
    since, until
        The period of answers that it looked at (µs, closed); ``since`` is None for all before.
    features
        The counts by feature.
    """

    at: int
    since: int | None
    until: int
    features: dict[str, SkewCounts]

"""What there is to know of streams as JSON, for machines: whole numbers, times in µs."""

from __future__ import annotations

from typing import Any

import orjson

from noskew.cli.render.payloads import printable
from noskew.cli.render.stream_counts import adds_up
from noskew.clock import MICROS_PER_SECOND
from noskew.streaming.fold.progress import PartitionProgress
from noskew.streaming.status.stream_status import PartitionStatus, SourceStatus, ViewStatus

_COUNTS = ("consumed", "folded", "late", "duplicate", "quarantined", "late_folded")


def to_json(data: Any, *, indent: bool = True) -> str:
    """Data as text; in one line without ``indent``. What JSON has no form for becomes text."""
    option = (orjson.OPT_INDENT_2 if indent else 0) | orjson.OPT_UTC_Z
    return orjson.dumps(data, option=option, default=printable).decode()


def status_data(status: SourceStatus) -> dict[str, Any]:
    """How far a source is."""
    return {
        "source": status.name,
        "at": status.at,
        "log": status.log,
        "faults": dict(status.faults),
        "views": [_view(view, status.at) for view in status.views],
    }


def _view(view: ViewStatus, at: int) -> dict[str, Any]:
    return {
        "view": view.name,
        "online": view.online,
        "is_of_another_log": view.is_of_another_log,
        "set_aside": view.quarantine.rows if view.quarantine else None,
        "replays": view.quarantine.replays if view.quarantine else None,
        "partitions": [_partition(part, at) for part in view.partitions],
    }


def _partition(part: PartitionStatus, at: int) -> dict[str, Any]:
    fresh = part.fresh_until
    return {
        "partition": part.partition,
        "begin": part.begin,
        "end": part.end,
        "next_offset": part.next_offset,
        "lag": part.lag,
        "fresh_until": fresh,
        "freshness_seconds": None if fresh is None else max(0, at - fresh) / MICROS_PER_SECOND,
        "archived": part.archived,
        "counts": None if part.progress is None else _counts(part.progress),
    }


def _counts(progress: PartitionProgress) -> dict[str, Any]:
    counts = {name: getattr(progress, name) for name in _COUNTS}
    return {**counts, "add_up": adds_up(progress)}

"""Which files a snapshot has, and which of them a read needs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pyarrow as pa

from noskew.errors import InputError
from noskew.stores.offline.base import EVENT_TIME, KNOWN_TIME, SEQUENCE, Filter, TableSpec
from noskew.stores.offline.faults import reading

if TYPE_CHECKING:
    from pyiceberg.io.pyarrow import PyArrowFileIO
    from pyiceberg.manifest import DataFile
    from pyiceberg.table.snapshots import Snapshot

#: The least and greatest value of a column; None: not recorded.
Bounds = tuple[int, int] | None


@dataclass(frozen=True, slots=True)
class PlannedFile:
    """A data file of a snapshot, with what is needed to skip it."""

    path: str
    bucket: int
    rows: int
    bytes: int
    event: Bounds
    known: Bounds
    sequence: Bounds
    entry: DataFile  # Iceberg's own record, for the commit that replaces the file

    def may_match(self, where: Filter) -> bool:
        """Whether rows in this file can satisfy the bounds of times and sequence."""
        return (
            _overlaps(self.event, where.event_from, where.event_to)
            and _overlaps(self.known, where.known_from, where.known_to)
            and _overlaps(self.sequence, where.sequence_from, None)
        )


@dataclass(frozen=True, slots=True)
class ReadPlan:
    """The files of one snapshot, per bucket in the order of their commits. Immutable."""

    snapshot: int | None
    spec: TableSpec
    layout: pa.Schema
    io: PyArrowFileIO
    buckets: dict[int, tuple[PlannedFile, ...]]

    def files(self, bucket: int | None, where: Filter | None = None) -> Iterator[PlannedFile]:
        """The files that a read must open. Raises InputError for a bucket out of range."""
        if bucket is not None and not 0 <= bucket < self.spec.buckets:
            raise InputError(
                f"table {self.spec.name!r} has the buckets 0 to {self.spec.buckets - 1}, "
                f"got {bucket}"
            )
        for number in sorted(self.buckets) if bucket is None else (bucket,):
            for file in self.buckets.get(number, ()):
                if where is None or file.may_match(where):
                    yield file


def read_plan(
    spec: TableSpec,
    layout: pa.Schema,
    io: PyArrowFileIO,
    snapshot: Snapshot | None,
    field_ids: dict[str, int],
) -> ReadPlan:
    """Read the manifests of a snapshot. ``field_ids`` are those of the bounded columns.

    Raises CorruptDataError for manifests that cannot be decoded.
    """
    planned: dict[int, list[tuple[int, str, PlannedFile]]] = {}
    for sequence, entry in _entries(io, snapshot):
        file = PlannedFile(
            path=entry.file_path,
            bucket=int(entry.partition[0]),
            rows=entry.record_count,
            bytes=entry.file_size_in_bytes,
            event=_bounds(entry, field_ids[EVENT_TIME]),
            known=_bounds(entry, field_ids[KNOWN_TIME]),
            sequence=_bounds(entry, field_ids[SEQUENCE]),
            entry=entry,
        )
        planned.setdefault(file.bucket, []).append((sequence, file.path, file))
    buckets = {
        number: tuple(file for *_, file in sorted(files, key=lambda item: item[:2]))
        for number, files in planned.items()
    }
    return ReadPlan(snapshot.snapshot_id if snapshot else None, spec, layout, io, buckets)


def _entries(io: PyArrowFileIO, snapshot: Snapshot | None) -> Iterator[tuple[int, DataFile]]:
    if snapshot is None:
        return
    with reading(snapshot.manifest_list):
        manifests = snapshot.manifests(io)
    for manifest in manifests:
        with reading(manifest.manifest_path):
            entries = manifest.fetch_manifest_entry(io, discard_deleted=True)
        for entry in entries:
            yield entry.sequence_number or 0, entry.data_file


def _bounds(entry: DataFile, field_id: int) -> Bounds:
    least = (entry.lower_bounds or {}).get(field_id)
    most = (entry.upper_bounds or {}).get(field_id)
    if least is None or most is None:
        return None
    # Iceberg's single-value form of times and of int64: eight bytes, little-endian.
    return (
        int.from_bytes(least, "little", signed=True),
        int.from_bytes(most, "little", signed=True),
    )


def _overlaps(bounds: Bounds, least: int | None, most: int | None) -> bool:
    return bounds is None or not (
        (least is not None and bounds[1] < least) or (most is not None and bounds[0] > most)
    )


def inside(bounds: Bounds, least: int | None, most: int | None) -> bool:
    """Whether every value within ``bounds`` satisfies the closed interval."""
    if least is None and most is None:
        return True
    return (
        bounds is not None
        and (least is None or bounds[0] >= least)
        and (most is None or bounds[1] <= most)
    )

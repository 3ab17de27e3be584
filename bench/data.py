"""The data of the benchmarks: made from fixed seeds, kept between runs, the same for every side.

Events come in rounds: in each, every entity has one event, at a random time within the round.
So every entity has as many events as there are rounds, and no two of them the same time.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

import noskew as ns
from noskew.config import Config, OfflineConfig, OnlineConfig
from noskew.definitions.windows import default_hop
from noskew.intake.tables import table_name

KEY, TIME = "entity_id", "event_timestamp"
ENTITIES = 100_000
FEATURES = 10
START = 1_735_689_600_000_000  # 2025-01-01
SPAN = 90 * 86_400_000_000
WINDOWS = {"1h": 3_600_000_000, "1d": 86_400_000_000, "30d": 30 * 86_400_000_000}
HOPS = {name: default_hop(width) for name, width in WINDOWS.items()}
UTC = pa.timestamp("us", "UTC")
_SOURCE = Path(ns.__file__).parent
_DIGEST = "NOSKEW_BENCH_TABLES"
#: Code that cannot change what a stored table looks like. Any other change makes them again.
_HARMLESS = {"cli", "serving", "streaming", "web", "testing", "online"}


def workdir() -> Path:
    """Scratch space: $BENCH_WORKDIR, else a folder of this user in the system's temp dir."""
    given = os.environ.get("BENCH_WORKDIR")
    path = Path(given) if given else Path(tempfile.gettempdir()) / f"noskew-bench-{os.getuid()}"
    path.mkdir(parents=True, exist_ok=True)
    return path


def fresh(name: str) -> Path:
    """A path below the scratch space that does not exist."""
    path = workdir() / "tmp" / name
    shutil.rmtree(path, ignore_errors=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


def names(features: int) -> list[str]:
    """The feature columns."""
    return [f"f{i}" for i in range(features)]


# ---------------------------------------------------------------------------------- files


def events_files(
    rows: int, *, entities: int = ENTITIES, features: int = FEATURES, per_file: int = 10_000_000
) -> list[Path]:
    """Parquet files of events, sorted by time: the raw data that every system starts from."""
    folder = workdir() / f"events-{rows}x{features}-{entities}"
    return _once(folder, lambda at: _write_events(at, rows, entities, features, per_file))


def _write_events(folder: Path, rows: int, entities: int, features: int, per_file: int) -> None:
    rounds, rest = divmod(rows, entities)
    assert rest == 0, "rows must be a multiple of the entities"
    rng = np.random.default_rng(50)
    step = SPAN // rounds
    tables: list[pa.Table] = []
    written, number = 0, 0
    for r in range(rounds):
        when = START + r * step + np.sort(rng.integers(0, step, entities))
        columns = {KEY: pa.array(rng.permutation(entities)), TIME: pa.array(when).view(UTC)}
        columns |= {
            n: pa.array(column)
            for n, column in zip(names(features), rng.random((features, entities)), strict=True)
        }
        tables.append(pa.table(columns))
        written += entities
        if written == min(per_file, rows - number * per_file):
            table = pa.concat_tables(tables).combine_chunks()
            pq.write_table(
                table,
                folder / f"{number:04}.parquet",
                row_group_size=1_000_000,
                compression="lz4",
                use_dictionary=[KEY],
            )
            tables, written, number = [], 0, number + 1


def asking_rows(rows: int, *, entities: int = ENTITIES) -> pa.Table:
    """What a training set asks for: entities and times at random, with their number.

    One row in a hundred asks for an entity that has no events, and a few ask before the first.
    """
    return pq.read_table(rows_file(rows, entities=entities))


def rows_file(rows: int, *, entities: int = ENTITIES) -> Path:
    """The Parquet file of :func:`asking_rows`."""
    path = workdir() / f"rows-{rows}-{entities}"
    return _once(path, lambda at: _write_rows(at, rows, entities))[0]


def _write_rows(folder: Path, rows: int, entities: int) -> None:
    rng = np.random.default_rng(99)
    keys = rng.integers(0, entities + entities // 100, rows)
    when = START + rng.integers(0, SPAN, rows)
    table = pa.table({KEY: keys, TIME: pa.array(when).view(UTC), "row": np.arange(rows)})
    pq.write_table(table, folder / "rows.parquet")


def _once(folder: Path, write: Callable[[Path], None]) -> list[Path]:
    """The files that ``write`` made in a folder, now or earlier."""
    if not folder.exists():
        partial = fresh(folder.name + ".partial")
        partial.mkdir(parents=True)
        write(partial)
        partial.rename(folder)
    return sorted(folder.iterdir())


# ------------------------------------------------------------------------------- projects


@dataclass(frozen=True)
class Shape:
    """A project with one source: how many events, entities, features and buckets it has."""

    rows: int
    entities: int = ENTITIES
    features: int = FEATURES
    buckets: int = 16

    @property
    def source(self) -> ns.Source:
        columns = {KEY: int, TIME: "timestamp"} | dict.fromkeys(names(self.features), float)
        return ns.Source("events", columns, event_time=TIME)

    @property
    def entity(self) -> ns.Entity:
        return ns.Entity("thing", keys={KEY: int})

    @property
    def latest(self) -> ns.FeatureView:
        """Every feature column, newest value."""
        return ns.FeatureView(
            "newest", entity=self.entity, source=self.source, features=names(self.features)
        )

    @property
    def windows(self) -> ns.FeatureView:
        """Three aggregates of one column over three windows."""
        over = list(WINDOWS)
        aggregates = [
            ns.count(window=over),
            ns.mean("f0", window=over),
            ns.max("f0", window=over),
        ]
        return ns.FeatureView(
            "windows", entity=self.entity, source=self.source, features=aggregates, online=False
        )

    def services(self) -> list[ns.FeatureService]:
        """The services ``latest`` and ``windows``."""
        return [
            ns.FeatureService("latest", [self.latest]),
            ns.FeatureService("windows", [self.windows]),
        ]

    def root(self) -> Path:
        """The directory of the project, filled on first use."""
        shape = f"{self.rows}x{self.features}-{self.entities}-{self.buckets}"
        for old in workdir().glob(f"project-{shape}-*"):
            if old.name != f"project-{shape}-{_digest()}":
                shutil.rmtree(old)
        folder = workdir() / f"project-{shape}-{_digest()}"
        if not (folder / "done").exists():
            shutil.rmtree(folder, ignore_errors=True)
            self._fill(folder)
        return folder

    def _fill(self, folder: Path) -> None:
        # In place, not renamed into place: the tables hold absolute paths.
        folder.mkdir(parents=True)
        with self.open(folder) as store:
            store.apply(self.services())
            for path in events_files(self.rows, entities=self.entities, features=self.features):
                store.ingest("events", ns.Parquet(str(path)))
            info = store.offline.info(table_name(self.latest))
            assert info.rows == self.rows, info
            (folder / "done").write_text(json.dumps({"files": info.files, "bytes": info.bytes}))

    def open(self, folder: Path | None = None, online: str = "") -> ns.FeatureStore:
        """The project's store, with the online store at an address."""
        config = Config(
            project="bench",
            offline=OfflineConfig(buckets=self.buckets),
            online=OnlineConfig(url=online) if online else OnlineConfig(),
        )
        return ns.FeatureStore(folder or self.root(), config=config)


#: A project of the same types as the others, to warm up on.
TINY = Shape(rows=5_000, entities=1_000, buckets=2)


def stored_files(shape: Shape) -> list[str]:
    """The Parquet files that the project's table is made of, for other engines to read."""
    with shape.open() as store:
        return [f.removeprefix("file://") for f in store.offline.files(table_name(shape.latest))]


@cache
def _digest() -> str:
    """A digest of the code that shapes stored tables, and of this file.

    The processes of one run share it, so that an edit meanwhile cannot pull tables from under it.
    """
    if known := os.environ.get(_DIGEST):
        return known
    digest = hashlib.blake2b(digest_size=6)
    code = (p for p in _SOURCE.rglob("*.py") if not _HARMLESS & set(p.parent.parts))
    for path in [Path(__file__), *sorted(code)]:
        digest.update(path.read_bytes())
    os.environ[_DIGEST] = digest.hexdigest()
    return os.environ[_DIGEST]

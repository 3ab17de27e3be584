"""The same extract tomorrow: unchanged in all but its bytes, grown by a hundredth, or replaced.

The limit of what comes again is its first ingest. What a replacement costs online is the time until
its changes are materialized, beside a materialization of all rows. A training set over a table of
which a hundredth was replaced stands beside one over a table that grew by as much.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

import noskew as ns
from bench import data
from bench.result import Result
from bench.timing import median, spread
from noskew.intake.ingested import FIELDS
from noskew.intake.tables import table_name

_USERS = 1_000_000
_SHARE = 100
_ASKED = 100_000


class _Extract:
    """A file of orders, and a project that ingests it; ``changes`` as a source has it."""

    def __init__(self, rows: int, changes: str | None) -> None:
        root = data.fresh("ingest")
        root.mkdir(parents=True)
        self.path, self.rows = root / "orders.parquet", rows
        self.clock = ns.FixedClock(data.START + 2 * data.SPAN)
        schema = {"user_id": int, "happened_at": "timestamp", "amount": float, "items": int}
        orders = ns.Source(
            "orders",
            schema,
            event_time="happened_at",
            batch=ns.Parquet(str(self.path)),
            changes=changes,
        )
        user = ns.Entity("user", {"user_id": int})
        features = ["amount", ns.sum("amount", window=["1d", "30d"]), ns.count(window="30d")]
        self.view = ns.FeatureView("spent", entity=user, source=orders, features=features)
        self.store = ns.FeatureStore(root / "project", project="bench", clock=self.clock)
        self.store.apply([ns.FeatureService("model", [self.view])], uncertified=True)

    def write(self, *, compression: str = "snappy", more: int = 0, changed: int = 0) -> None:
        """``more`` rows of all times, and ``changed`` other amounts among those before."""
        draw, total = np.random.default_rng(7), self.rows + more
        # A microsecond later than others, so that no two rows are equal.
        place = np.append(np.arange(self.rows), np.arange(more) * _SHARE)
        when = data.START + place * (data.SPAN // self.rows) + (np.arange(total) >= self.rows)
        amount = np.resize(draw.normal(size=self.rows), total)
        if changed:
            amount[:: self.rows // changed] += 1.0
        columns = {
            "user_id": np.resize(draw.integers(0, _USERS, self.rows), total),
            "happened_at": pa.array(when).view(data.UTC),
            "amount": amount,
            "items": np.resize(draw.integers(0, 1_000, self.rows), total),
        }
        pq.write_table(pa.table(columns), self.path, compression=compression)

    def ingest(self, *, added: int, retracted: int = 0) -> float:
        self.clock.advance("1d")
        (report,), seconds = _timed(self.store.ingest)
        assert (report.rows, report.retracted) == (added, retracted)
        return seconds

    def materialize(self, *, full: bool = False) -> float:
        return _timed(lambda: self.store.materialize(full=full))[1]

    def ask(self) -> float:
        draw = np.random.default_rng(9)
        when = data.START + draw.integers(data.SPAN // 2, data.SPAN, _ASKED)
        asked = pa.table(
            {
                "user_id": draw.integers(0, _USERS, _ASKED),
                "event_timestamp": pa.array(when).view(data.UTC),
            }
        )
        return _timed(lambda: self.store.get_historical_features(asked, "model").to_arrow())[1]

    def ledger(self) -> float:
        """Bytes a row that the marks of events take."""
        names = {field.name for field in FIELDS}
        taken = 0
        for path in self.store.offline.files(table_name(self.view)):
            metadata = pq.read_metadata(path.removeprefix("file://"))
            for group in range(metadata.num_row_groups):
                chunks = metadata.row_group(group)
                for i in range(chunks.num_columns):
                    chunk = chunks.column(i)
                    taken += chunk.total_compressed_size * (chunk.path_in_schema in names)
        return taken / self.rows


def run(rows: int, runs: int) -> Iterator[Result]:
    """Seconds of each, and bytes of the ledger."""
    times: dict[str, list[float]] = {}

    def took(name: str, seconds: float) -> None:
        times.setdefault(name, []).append(seconds)

    more, ledger = rows // _SHARE, 0.0
    for _ in range(runs):
        extract = _Extract(rows, None)
        extract.write()
        took("first", extract.ingest(added=rows))
        ledger = extract.ledger()
        extract.write(compression="zstd")
        took("again", extract.ingest(added=0))
        extract.write(more=more)
        took("grown", extract.ingest(added=more))
        took("asked", extract.ask())
        extract.store.close()
        truth = _Extract(rows, "replace")
        truth.write()
        truth.ingest(added=rows)
        took("full", truth.materialize(full=True))
        truth.write(changed=more)
        took("replaced", truth.ingest(added=more, retracted=more))
        took("changed", truth.materialize())
        took("retracted", truth.ask())
        truth.store.close()
    yield from _results(times, rows, runs)
    setup = f"{rows:,} rows of 4 columns: what tells rows and their ingest, as it is stored"
    yield Result("ingest.ledger", ledger, "bytes", None, setup)


def _results(times: dict[str, list[float]], rows: int, runs: int) -> Iterator[Result]:
    what = f"an extract of {rows:,} rows, 4 columns, Parquet, {_USERS:,} entities; {runs} runs"
    for name, limit, setup in (
        ("ingest.first", None, "all of it, new"),
        ("ingest.again", "first", "written anew with the same rows, beside its first ingest"),
        ("ingest.grown", "first", "grown by a hundredth, beside its first ingest"),
        ("ingest.replaced", "first", "a hundredth of the rows changed, beside its first ingest"),
        ("ingest.replace", "full", "materialize after that, beside one of all rows"),
        ("historical.retracted", "asked", f"{_ASKED:,} rows asked, beside a table that grew"),
    ):
        side = {"ingest.replace": "changed"}.get(name, name.partition(".")[2])
        noise = {"noskew": spread(times[side])}
        if limit:
            noise["limit"] = spread(times[limit])
        yield Result(
            name,
            median(times[side]),
            "s",
            median(times[limit]) if limit else None,
            f"{what}: {setup}",
            noise=noise,
        )


def _timed(work: Callable[[], Any]) -> tuple[Any, float]:
    start = time.perf_counter()
    done = work()
    return done, time.perf_counter() - start

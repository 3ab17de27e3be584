"""Run a definition in another process: nothing that this one keeps can help it there."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import orjson
import pyarrow as pa

from noskew.certification.outcomes import Outcomes, run_in_batches
from noskew.certification.transform_paths import runner_of
from noskew.definitions.on_demand import OnDemand
from noskew.definitions.project import Project
from noskew.definitions.view import FeatureView
from noskew.errors import TransformError
from noskew.intake.messages import encode_arrow

_LONGEST_S = 120


def run_elsewhere(item: FeatureView | OnDemand, rows: pa.Table, known_time: int) -> Outcomes:
    """What becomes of all rows, given backwards, in a process of its own.

    Raises TransformError if it does not answer.
    """
    task = orjson.dumps(
        {
            "definitions": Project.of(item).to_dict(),
            "known_time": known_time,
            "path": sys.path,
            "kind": "views" if isinstance(item, FeatureView) else "on_demand",
            "name": item.name,
        }
    )
    sent = len(task).to_bytes(8, "big") + task + encode_arrow(rows)
    try:
        done = subprocess.run(
            [sys.executable, "-m", "noskew.certification.subprocess_run"],
            input=sent,
            capture_output=True,
            check=True,
            timeout=_LONGEST_S,
        )
    except subprocess.SubprocessError as error:
        said = (getattr(error, "stderr", b"") or b"").decode(errors="replace").strip()
        raise TransformError(
            f"{item.name!r} does not run in a process of its own: "
            f"{said.splitlines()[-1] if said else error}"
        ) from error
    size = int.from_bytes(done.stdout[:8], "big")
    fates = orjson.loads(done.stdout[8 : 8 + size])
    with pa.ipc.open_stream(done.stdout[8 + size :]) as reader:
        events = reader.read_all()
    return Outcomes(
        events.drop_columns(["_at"]),
        events.column("_at").to_numpy(),
        {int(n): why for n, why in fates["refused"].items()},
        {int(n): why for n, why in fates["failed"].items()},
    )


def main() -> None:
    """Answer one question that comes on standard input."""
    given = sys.stdin.buffer.read()
    size = int.from_bytes(given[:8], "big")
    task = orjson.loads(given[8 : 8 + size])
    sys.path[:] = task["path"]
    out = sys.stdout.buffer
    sys.stdout = sys.stderr  # what a function prints is no part of the answer
    item = getattr(Project.from_dict(task["definitions"]), task["kind"])[task["name"]]
    with pa.ipc.open_stream(given[8 + size :]) as reader:
        rows = reader.read_all()
    # Backwards: what remembers the order in which it saw things remembers another one here.
    backwards = np.arange(len(rows))[::-1]
    outcomes = run_in_batches(runner_of(item, task["known_time"]), rows, [backwards])
    events = outcomes.events.append_column("_at", pa.array(np.asarray(outcomes.row, np.int64)))
    fates = orjson.dumps(
        {
            "refused": {str(n): why for n, why in outcomes.refused.items()},
            "failed": {str(n): why for n, why in outcomes.failed.items()},
        }
    )
    out.write(len(fates).to_bytes(8, "big") + fates + encode_arrow(events))


if __name__ == "__main__":
    main()

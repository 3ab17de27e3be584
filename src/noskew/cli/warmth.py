"""Whether the kernel is compiled, and compiling it now."""

from __future__ import annotations

import tempfile
from pathlib import Path
from time import perf_counter

from noskew.cli import starter_data, templates
from noskew.clock import SystemClock
from noskew.feature_store import FeatureStore


def compiled_functions(folder: Path) -> int:
    """How many functions of the kernel have their machine code kept on disk."""
    return sum(1 for _ in folder.rglob("*.nbi"))


def warm_up() -> float:
    """Run the starter project once, in a temporary folder; returns the seconds it took."""
    started = perf_counter()
    with tempfile.TemporaryDirectory(prefix="noskew-warm-") as folder:
        root = Path(folder)
        templates.copy("starter", root)
        starter_data.write(root / "data", now=SystemClock().now())
        with FeatureStore(root) as store:
            store.apply()
            store.ingest()
            store.materialize()
            store.get_online_features("checkout", {"customer": ["c000"], "basket": [1.0]})
            store.get_historical_features(
                root / "data" / "questions.parquet", "checkout", known_at="row"
            )
    return perf_counter() - started

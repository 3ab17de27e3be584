"""Whether the kernel is compiled, saying so to who waits for it, and compiling it now."""

from __future__ import annotations

import os
import tempfile
from importlib.util import find_spec
from pathlib import Path
from time import perf_counter

from rich.console import Console

from noskew.cli import starter_data, templates
from noskew.cli.console import err
from noskew.clock import SystemClock


def cache_folder() -> Path:
    """Where compiled functions are kept, found without importing the compiler."""
    kernel = find_spec("noskew.kernel")
    assert kernel is not None
    assert kernel.origin is not None
    return Path(os.environ.get("NUMBA_CACHE_DIR") or Path(kernel.origin).parent)


def compiled_functions() -> int:
    """How many functions of the kernel have their machine code kept on disk."""
    return sum(1 for _ in cache_folder().rglob("*.nbi"))


def tell_if_cold(console: Console = err) -> None:
    """One line before work that compiles the kernel first: what takes so long, and that once."""
    if not compiled_functions():
        console.print(
            "[dim]compiling kernels, once per machine: this takes half a minute "
            "(noskew doctor --warm does it ahead)[/dim]"
        )


def warm_up() -> float:
    """Run the starter project once, in a temporary folder; returns the seconds it took."""
    from noskew.feature_store import FeatureStore

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

"""Whether the kernel is compiled, and saying so to who waits for it."""

from __future__ import annotations

import os
from importlib.util import find_spec
from pathlib import Path

from rich.console import Console

from noskew.cli.console import err


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

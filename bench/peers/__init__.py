"""Other systems doing the same jobs, each in an environment of its own."""

from __future__ import annotations

from bench.timing import ROOT

BIN = ROOT / ".venv-feast" / "bin"


def available() -> bool:
    """Whether Feast's environment is there (``make bench-peers`` makes it)."""
    return (BIN / "feast").exists()

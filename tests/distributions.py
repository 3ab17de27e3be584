"""Distributions of somebody else, as an installer leaves them."""

from __future__ import annotations

from pathlib import Path


def install(where: Path, name: str, entry_points: str, code: str) -> None:
    """Put a distribution into a directory of the path: its one module is ``<name>_store``."""
    (where / f"{name}_store.py").write_text(code)
    info = where / f"{name}_store-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}-store\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(entry_points)

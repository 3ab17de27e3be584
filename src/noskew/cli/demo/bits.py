"""Stop where a value differs."""

from __future__ import annotations

from noskew.errors import CorruptDataError


def require_equal(differences: dict[str, int], where: str) -> None:
    """Raise CorruptDataError if there are differences; ``where``: what was compared."""
    if differences:
        raise CorruptDataError(
            f"values differ ({where}): "
            + ", ".join(f"{n} of {name}" for name, n in differences.items())
            + "; this is a fault in noskew, please report it"
        )

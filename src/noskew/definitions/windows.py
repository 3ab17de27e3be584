"""Windows and hops: how far back an aggregate looks, and by what step its far edge moves."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta

from noskew.clock import MICROS_PER_SECOND, duration_micros, duration_text
from noskew.errors import DefinitionError, InputError

#: A hop of one microsecond makes ``(⌊(t−W)/h⌋·h, t]`` the exact window ``(t−W, t]``.
EXACT_HOP = 1
#: Events that an exact window may hold, unless the view declares another cap.
DEFAULT_EXACT_CAP = 1_000
#: A window of more tiles than this would make rows larger than any store likes.
MAX_TILES = 10_000
_DEFAULT_HOPS = tuple(
    seconds * MICROS_PER_SECOND for seconds in (86_400, 21_600, 3_600, 900, 300, 60, 15, 5, 1)
)

Duration = int | str | timedelta


def default_hop(window: int) -> int:
    """The largest standard hop that is at most a 24th of the window, at least 1 s (SPEC §4)."""
    return next((hop for hop in _DEFAULT_HOPS if hop <= window // 24), MICROS_PER_SECOND)


def window_list(window: Duration | Iterable[Duration] | None, what: str) -> tuple[int | None, ...]:
    """One window, several, or None (all of history), in microseconds; checked, order kept."""
    if window is None or isinstance(window, (int, str, timedelta)):
        windows: list[Duration | None] = [window]
    elif isinstance(window, Iterable):
        windows = list(window)
    else:
        raise DefinitionError(f"{what}: expected a duration such as '1h', got {window!r}")
    micros = tuple(None if w is None else _positive(w, what) for w in windows)
    if not micros or len(set(micros)) != len(micros):
        raise DefinitionError(f"{what}: windows must be given, each once, got {window!r}")
    return micros


def hop_of(window: int | None, hop: Duration | None, what: str) -> int:
    """The hop in microseconds of a window: given, ``"exact"`` or the default.

    Unwindowed aggregates have no hop; 0 stands for that.
    """
    if window is None:
        if hop is not None:
            raise DefinitionError(f"{what}: a hop needs a window")
        return 0
    if hop is None:
        return default_hop(window)
    if hop == "exact":
        return EXACT_HOP
    micros = _positive(hop, what)
    if micros > window or (micros != EXACT_HOP and window // micros > MAX_TILES):
        raise DefinitionError(
            f"{what}: the hop {duration_text(micros)} does not suit the window "
            f"{duration_text(window)}; it must be at most the window and at least a "
            f"{MAX_TILES}th of it, or 'exact'"
        )
    return micros


def _positive(value: Duration, what: str) -> int:
    try:
        micros = duration_micros(value)
    except InputError as error:
        raise DefinitionError(f"{what}: {error}") from error
    if micros <= 0:
        raise DefinitionError(f"{what}: a window or hop must be longer than zero, got {value!r}")
    return micros

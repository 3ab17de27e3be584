"""How kernels are compiled: ahead of use, cached on disk, without the interpreter's lock."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba

F = TypeVar("F", bound=Callable[..., Any])


def kernel(function: F) -> F:
    """Compile a loop over arrays. IEEE semantics are kept: no fast-math, no contraction."""
    return cast(F, numba.njit(nogil=True, cache=True, fastmath=False)(function))


def inline(function: F) -> F:
    """Compile a small function that kernels call."""
    return cast(F, numba.njit(nogil=True, cache=True, fastmath=False, inline="never")(function))

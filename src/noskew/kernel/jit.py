"""How kernels are compiled: ahead of use, cached on disk, without the interpreter's lock."""

from __future__ import annotations

import sys
from collections.abc import Callable
from importlib import import_module
from importlib.util import find_spec
from typing import Any, TypeVar, cast

import numba

F = TypeVar("F", bound=Callable[..., Any])


def _load_array_functions() -> None:
    """Load what numba loads with the first kernel, but for SciPy.

    It imports SciPy's linear algebra, which takes longer than all the rest, only to see whether it
    is there. Functions that use it ask again when they are compiled; ours use none. Another version
    of numba that does so in another way is left alone: it is slower to load, and works.
    """
    if "numba.np.arraymath" in sys.modules:
        return
    try:
        linalg: Any = import_module("numba.np.linalg")
        ensure = linalg.ensure_blas
    except (ImportError, AttributeError):
        return
    linalg.ensure_blas = _find_scipy
    try:
        import_module("numba.np.arraymath")
    finally:
        linalg.ensure_blas = ensure


def _find_scipy() -> None:
    if find_spec("scipy") is None:
        raise ImportError("there is no SciPy")


_load_array_functions()


def kernel(function: F) -> F:
    """Compile a loop over arrays. IEEE semantics are kept: no fast-math, no contraction."""
    return cast(F, numba.njit(nogil=True, cache=True, fastmath=False)(function))


def inline(function: F) -> F:
    """Compile a small function that kernels call."""
    return cast(F, numba.njit(nogil=True, cache=True, fastmath=False, inline="never")(function))

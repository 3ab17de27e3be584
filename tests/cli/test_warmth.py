"""After the warm-up nothing that people wait for is compiled."""

from __future__ import annotations

import subprocess
import sys

_PROGRAM = """
import pkgutil
from importlib import import_module

from numba.core.dispatcher import Dispatcher

import noskew.kernel, noskew.training
from noskew.cli.warm_up import warm_up

warm_up()
for package in (noskew.kernel, noskew.training):
    for found in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
        for value in vars(import_module(found.name)).values():
            if isinstance(value, Dispatcher) and value.py_func.__module__ == found.name:
                # One that is inlined, or only called by others, is compiled into these.
                if not value.signatures and "inline" not in value.targetoptions:
                    print(value.py_func.__qualname__)
"""
#: Called by other compiled functions.
_INNER = {"_before", "_merge_sort", "_earlier", "_estimate", "_after", "_counting"}
#: For sums outside of int64, and what a server warms itself.
_SELDOM = {"lift_floats", "_large_quotients", "_low_hashes"}


def test_the_warm_up_calls_every_compiled_function() -> None:
    done = subprocess.run(
        [sys.executable, "-c", _PROGRAM], capture_output=True, text=True, check=True
    )
    assert set(done.stdout.split()) == _INNER | _SELDOM

"""A function's digest covers what it depends on in its module, and nothing else."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from noskew.definitions.functions import FunctionRef, function_ref
from noskew.errors import DefinitionError

SOURCE = """
import functools
import math as maths
from os import path

LIMITS = {"low": 1}
LIMITS["high"] = 2
UNUSED = 3

def scaled(by):
    def wrap(function):
        @functools.wraps(function)
        def inner(frame):
            return function(frame) * by
        return inner
    return wrap

try:
    from no_such_library import helper
except ImportError:
    def helper(x):
        return x + 1

class Shape:
    size = 4

def indirect(x):
    return helper(x) + Shape.size

@scaled(2)
def clean(frame):
    return indirect(frame) + LIMITS["high"] + maths.pi

def unused(frame):
    return UNUSED
"""
Digest = Callable[[str], str]


@pytest.fixture
def digest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Digest]:
    """Write a module and give the digest of its function ``clean``."""
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    names: list[str] = []

    def of(source: str) -> str:
        names.append(f"noskew_test_module_{len(names)}")
        (tmp_path / f"{names[-1]}.py").write_text(source)
        importlib.invalidate_caches()
        return function_ref(importlib.import_module(names[-1]).clean, "here").digest

    yield of
    for name in names:
        sys.modules.pop(name, None)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("+ maths.pi", "- maths.pi"),
        ("math as maths", "cmath as maths"),
        ("helper(x) +", "helper(x) -"),
        ("return x + 1", "return x + 2"),
        ("size = 4", "size = 5"),
        ('LIMITS = {"low": 1}', 'LIMITS = {"low": 7}'),
        ('LIMITS["high"] = 2', 'LIMITS["high"] = 7'),
        ("@scaled(2)", "@scaled(3)"),
        ("function(frame) * by", "function(frame) / by"),
        ("from no_such_library", "from no_other_library"),
    ],
)
def test_what_a_function_depends_on_changes_its_digest(
    digest: Digest, before: str, after: str
) -> None:
    assert SOURCE.count(before) == 1
    assert digest(SOURCE.replace(before, after)) != digest(SOURCE)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("return UNUSED", "return 5"),
        ("UNUSED = 3", "UNUSED = 4"),
        ("from os import path", "from os import sep"),
        ("def unused", "\n\n# a word\ndef unused"),
    ],
)
def test_what_it_does_not_depend_on_leaves_it(digest: Digest, before: str, after: str) -> None:
    assert digest(SOURCE.replace(before, after)) == digest(SOURCE)


def top(frame: Any) -> Any:
    return frame


def test_a_function_is_found_again_by_its_path() -> None:
    found = function_ref(top, "here")
    assert found.path == f"{__name__}:top"
    assert found.load() is top


def test_a_changed_source_is_refused() -> None:
    path = function_ref(top, "here").path
    with pytest.raises(DefinitionError, match="differs from the one that was applied"):
        FunctionRef(path, "0" * 32).load()


@pytest.mark.parametrize("path", ["no.such.module:f", f"{__name__}:absent"])
def test_a_function_that_is_gone(path: str) -> None:
    with pytest.raises(DefinitionError, match="cannot import the function"):
        FunctionRef(path, "").load()


def test_what_cannot_be_imported_by_name_is_refused() -> None:
    def nested(frame: Any) -> Any:
        return frame

    class Holder:
        def method(self, frame: Any) -> Any:
            return frame

    for given in (
        nested,
        lambda frame: frame,
        Holder().method,
        Holder.method,
        partial(top),
        len,
        3,
    ):
        with pytest.raises(DefinitionError, match="here: expected a function defined at the top"):
            function_ref(given, "here")  # type: ignore[arg-type]

"""Slow sides are measured less often, and the first of several turns only warms up."""

from __future__ import annotations

import sys
from collections.abc import Callable

import pytest

from bench import timing


def counter() -> Callable[[], float]:
    calls: list[float] = []

    def call() -> float:
        calls.append(float(len(calls)))
        return calls[-1]

    return call


def test_sides_take_turns_and_the_first_warms_up() -> None:
    order: list[str] = []
    sides = {name: lambda name=name: float(order.append(name) or len(order)) for name in "ab"}
    took = timing.in_turns(sides, runs=2, patience=60)
    assert order == ["a", "b"] * 3
    assert took == {"a": [3, 5], "b": [4, 6]}


def test_what_is_slow_is_measured_once_and_counts() -> None:
    took = timing.in_turns({"slow": counter()}, runs=5, patience=-1)
    assert took == {"slow": [0]}
    assert timing.noise_of(took) == {}


def test_a_process_that_fails_says_what_it_said() -> None:
    with pytest.raises(RuntimeError, match="no such thing"):
        timing.wall([sys.executable, "-c", "raise SystemExit('no such thing')"])

"""Certification: the corpus is the same in every path, and every skewed definition is found out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import noskew as ns
from noskew.certification.certify import certify_view
from noskew.clock import FixedClock
from noskew.registry.records.certificate import Certificate
from tests.translation.skewed import SKEWED
from tests.translation.test_corpus import VIEWS

SCHEMA: dict[str, Any] = {"user_id": int, "at": "timestamp", "x": float, "n": int, "s": str}
SOURCE = ns.Source("events", SCHEMA, event_time="at")
USER = ns.Entity("user", {"user_id": int})


def certified(view: ns.FeatureView, **options: Any) -> Certificate:
    return certify_view(view, Path(), FixedClock(0), **{"sample": 0, "thorough": False, **options})


@pytest.mark.parametrize("name", SKEWED)
def test_a_skewed_definition_is_caught(name: str) -> None:
    view = ns.FeatureView(
        "view", entity=USER, source=SOURCE, features=["made"], transform=SKEWED[name]()
    )
    made = certified(view)
    assert not made.is_equal
    assert made.cause


@pytest.mark.parametrize("framework", VIEWS)
def test_the_corpus_is_certified(framework: str) -> None:
    made = certified(VIEWS[framework])
    assert made.is_equal, (made.cause, made.differences)

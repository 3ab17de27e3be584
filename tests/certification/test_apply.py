"""Nothing is applied that gives different values on different paths, unless somebody says so."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

import noskew as ns
from noskew.cli.app import app
from noskew.clock import FixedClock
from noskew.errors import CertificateError, NotFoundError
from noskew.feature_store import FeatureStore
from tests.certification import definitions as d

GOOD = ns.FeatureView("good", entity=d.USER, source=d.source(), features=["x"])
SKEWED = d.view(ns.pandas(d.minus_mean, schema=d.OUT))

FILE = """
import noskew as ns

user = ns.Entity("user", keys={"user_id": int})
events = ns.Source("events", {"user_id": int, "at": "timestamp", "x": float}, event_time="at")


def centred(frame):
    return frame.assign(made=frame["x"] - frame["x"].mean())


view = ns.FeatureView(
    "centred", entity=user, source=events, features=["made"],
    transform=ns.pandas(centred, schema={"made": float}),
)
plain = ns.FeatureView("plain", entity=user, source=events, features=["x"])
"""


@pytest.fixture
def store(tmp_path: Path) -> Iterator[FeatureStore]:
    with ns.FeatureStore(tmp_path, project="p", clock=FixedClock(7)) as opened:
        yield opened


def test_apply_certifies_what_is_new_and_keeps_the_certificate(store: FeatureStore) -> None:
    told = []
    store.apply([GOOD], progress=lambda name, path: told.append((name, path)))
    held = store.certifications.of(GOOD)
    assert held is not None
    assert held.is_equal
    assert (held.is_thorough, held.made_at) == (False, 7)
    assert ("good", "one row at a time") in told
    told.clear()
    renamed = ns.FeatureView("other", entity=d.USER, source=d.source(), features=["x"])
    store.apply([GOOD, renamed], progress=lambda *step: told.append(step))
    assert told == [], "a certificate holds for a definition, whatever its name"


def test_apply_refuses_what_differs_and_changes_nothing(store: FeatureStore) -> None:
    store.apply([GOOD])
    with pytest.raises(CertificateError) as refused:
        store.apply([GOOD, SKEWED])
    said = str(refused.value)
    assert "view: a single row always has 0 in 'made'" in said
    assert "noskew verify view" in said
    assert "--uncertified" in said
    assert store.applied.version == 1


def test_uncertified_is_allowed_and_recorded(store: FeatureStore) -> None:
    store.apply([SKEWED], uncertified=True)
    assert store.applied.version == 1
    assert list(store.certifications.exempt()) == [SKEWED.definition_hash]
    # What is applied already is not asked for again when something else changes.
    store.apply([SKEWED, GOOD])
    assert store.certifications.of(SKEWED) is None
    assert list(store.certifications.exempt()) == [SKEWED.definition_hash]


def test_a_certified_definition_is_not_recorded_as_uncertified(store: FeatureStore) -> None:
    store.verify(definitions=[GOOD])
    store.apply([GOOD], uncertified=True)
    assert store.certifications.exempt() == {}


def test_verify_makes_and_keeps_certificates_by_name(store: FeatureStore) -> None:
    (made,) = store.verify("view", definitions=[GOOD, SKEWED], sample=10)
    assert not made.is_equal
    assert made.is_thorough
    assert store.certifications.all() == {SKEWED.definition_hash: made}
    with pytest.raises(NotFoundError, match=r"'goood'.*good"):
        store.verify("goood", definitions=[GOOD])
    with pytest.raises(CertificateError):
        store.apply([SKEWED])


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "features").mkdir()
    (tmp_path / "features" / "all.py").write_text(FILE)
    (tmp_path / "noskew.toml").write_text('project = "p"\n')
    return tmp_path


def run(project: Path, *arguments: str) -> Any:
    return CliRunner().invoke(app, ["--directory", str(project), *arguments])


def test_the_command_shows_what_differs_and_fails(project: Path) -> None:
    done = run(project, "verify")
    assert done.exit_code == 1
    for text in (
        "centred",
        "✗ values differ",
        "plain",
        "✓ equal",
        "one row at a time",
        "mean (or minimum",
        "1 of 2 definitions are not certified",
        "run on rows made up only, since the source has no batch data",
    ):
        assert text in done.output.replace("\n", " "), text
    assert run(project, "verify", "plain").exit_code == 0
    found = json.loads(run(project, "verify", "plain", "--json").stdout)
    assert [c["name"] for c in found] == ["plain"]


def test_apply_refuses_and_can_be_told_to_go_on(project: Path) -> None:
    done = run(project, "apply", "--yes")
    assert done.exit_code == 1
    assert "CertificateError" in done.output
    done = run(project, "apply", "--yes", "--uncertified")
    assert done.exit_code == 0
    listed = run(project, "list", "views").output
    signs = {line.split()[0]: line.split()[-1] for line in listed.splitlines() if "events" in line}
    assert (signs["centred"], signs["plain"]) == ("✗", "✓")
    assert "Certificate: certified, short form" in run(project, "show", "plain").output
    assert "Certificate: uncertified, by" in run(project, "show", "centred").output

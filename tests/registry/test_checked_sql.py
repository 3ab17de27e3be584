"""What was checked once is not checked again, and nothing else is taken for checked."""

from __future__ import annotations

from collections.abc import Callable

import orjson
import pytest

import noskew as ns
from noskew.definitions import sql_check
from noskew.definitions.identity import digest
from noskew.definitions.sized_cache import SizedCache
from noskew.errors import TransformError
from noskew.registry.versions import (
    Applied,
    Version,
    decode_project,
    encode_project,
    remember_checked,
)
from noskew.testing.registry.examples import COLUMNS, delays, departures, whole_project

SELECT = delays().transform.statement


class Process:
    """Stands for a process that has checked nothing yet; ``parsed``: the SELECTs it parses."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self._patch, self.parsed = patch, list[str]()
        self._parse: Callable[[str, str], object] = sql_check.parse_select
        patch.setattr(sql_check, "parse_select", self._watched)
        self.start()

    def start(self) -> None:
        self._patch.setattr(sql_check, "_CHECKED", SizedCache(1 << 20))
        self.parsed.clear()

    def _watched(self, sql: str, what: str) -> object:
        self.parsed.append(sql)
        return self._parse(sql, what)


@pytest.fixture
def process(monkeypatch: pytest.MonkeyPatch) -> Process:
    return Process(monkeypatch)


def applied() -> Applied:
    document, made = encode_project(whole_project())
    return decode_project(document, Version(1, 0, "", "", made), "flights")


def test_a_view_that_was_applied_is_made_without_a_check(process: Process) -> None:
    version = applied()
    process.start()
    assert version.project.views["delays"].columns == delays().columns
    assert process.parsed == []


def test_definitions_are_loaded_without_a_check_of_what_is_applied(process: Process) -> None:
    version = applied()
    process.start()
    remember_checked(version)
    assert delays().definition_hash == version.hashes["feature_view"]["delays"]
    assert process.parsed == []
    with pytest.raises(TransformError, match="aggregate"):
        delays(transform=ns.sql("SELECT origin, sum(dep_delay) AS late FROM departures"))


@pytest.mark.parametrize("release", ["noskew 0.0.1, duckdb 2.0.0", "noskew 0.1.0, duckdb 9.9.9"])
def test_another_release_checks_again(
    process: Process, monkeypatch: pytest.MonkeyPatch, release: str
) -> None:
    with monkeypatch.context() as earlier:
        earlier.setattr("noskew.registry.versions.checker", lambda: release)
        document, made = encode_project(whole_project())
    process.start()
    version = decode_project(document, Version(1, 0, "", "", made), "flights")
    assert not version.outputs
    assert version.project.views["delays"].columns
    assert SELECT in process.parsed


def test_a_source_of_other_columns_is_checked_again(process: Process) -> None:
    remember_checked(applied())
    process.parsed.clear()
    source = departures(schema={**COLUMNS, "dep_delay": int})
    view = delays(source=source)
    assert SELECT in process.parsed
    assert str(view.columns["dep_delay"]) == "int64"


def test_a_document_of_an_earlier_release_has_nothing_checked(process: Process) -> None:
    document, _ = encode_project(whole_project())
    data = orjson.loads(document)
    assert data.pop("checked")["outputs"]["delays"]
    process.start()
    text = orjson.dumps(data, option=orjson.OPT_SORT_KEYS).decode()
    version = decode_project(text, Version(1, 0, "", "", digest(data)), "flights")
    assert version.project.views["delays"] == delays()
    assert SELECT in process.parsed

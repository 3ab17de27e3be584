"""What only the log knows, on-demand functions, and the command line."""

from __future__ import annotations

import importlib
import json
import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
import pytest
import yaml
from typer.testing import CliRunner

import noskew as ns
from noskew.addresses import Tenant
from noskew.cli.app import app
from noskew.clock import FixedClock, to_datetime, to_micros
from noskew.registry.records.keys import DefinitionKey
from noskew.registry.records.kinds import SERVED
from noskew.training.materialize import materialize
from tests.audit.keeping import keeping
from tests.serving.feature_server import write_config

S = 1_000_000
START = to_micros(datetime(2024, 5, 1, tzinfo=UTC))
USER = ns.Entity("user", {"user": str})
SPENT = ns.Source(
    "spent",
    {"user": str, "at": "timestamp", "told": "timestamp", "amount": float},
    event_time="at",
    created="told",
)
VIEW = ns.FeatureView(
    "wallet",
    entity=USER,
    source=SPENT,
    features=[ns.latest("amount", name="last"), ns.sum("amount", name="sum")],
)
FUNCTIONS = """
CALLS = []


def share(given):
    return {"share": given["last"] / given["budget"]}


def counting(given):
    CALLS.append(1)
    return {"calls": given["last"] * 0 + len(CALLS)}
"""


@pytest.fixture
def clock() -> FixedClock:
    return FixedClock(START)


@pytest.fixture
def store(tmp_path: Path, clock: FixedClock) -> Iterator[ns.FeatureStore]:
    write_config(tmp_path)
    with ns.FeatureStore(tmp_path, clock=clock) as made:
        made.apply(ns.FeatureService("wallet", [VIEW]))
        yield made


def spend(store: ns.FeatureStore, amount: float, *, ago: int = 0, user: str = "a") -> None:
    """A fact that was known so many seconds ago."""
    when = to_datetime(store.clock.now() - ago * S)
    row = {"user": [user], "at": [when], "told": [when], "amount": [amount]}
    store.ingest("spent", pa.table(row, SPENT.schema.arrow))


def counts(store: ns.FeatureStore, feature: str = "sum", service: str = "wallet") -> dict[str, int]:
    (skew,) = store.audit_skew(service).services
    return {name: n for name, n in skew.features[feature].counts().items() if n}


def test_a_fact_ingested_late_was_not_there_to_be_served(
    store: ns.FeatureStore, clock: FixedClock
) -> None:
    spend(store, 1.0)
    store.materialize()
    clock.advance(60 * S)
    with keeping(store) as serve:
        serve("wallet", {"user": ["a"]})
    assert counts(store) == {"compared": 1, "equal": 1}
    spend(store, 5.0, ago=30)  # known before it was served, and ingested after
    assert counts(store) == {"compared": 1, "behind": 1}
    example = store.audit_skew().services[0].features["sum"].examples[0]
    assert (example.served, example.known, example.folded) == (1.0, 6.0, 1.0)
    assert "ingested later" in example.cause


def test_a_view_that_was_never_materialized_is_behind(
    store: ns.FeatureStore, clock: FixedClock
) -> None:
    spend(store, 1.0)
    clock.advance(S)
    with keeping(store) as serve:
        serve("wallet", {"user": ["a", "never seen"]})
    assert counts(store) == {"compared": 2, "equal": 1, "behind": 1}
    cause = store.audit_skew().services[0].features["sum"].examples[0].cause
    assert "not materialized yet" in cause


def unfinished(store: ns.FeatureStore) -> None:
    """A run that wrote its rows, and was killed before it said so anywhere."""
    beat = Tenant("shop").rows(VIEW).heartbeat
    (before,) = store.online.read([beat])
    until = store.clock.now()
    materialize(VIEW, store.offline, store.online, tenant=store.tenant, until=until)
    store.online.delete([beat])
    if before is not None:
        store.online.write([beat], [before])


def test_rows_of_an_unfinished_run_are_judged_by_their_own_version(
    store: ns.FeatureStore, clock: FixedClock
) -> None:
    spend(store, 1.0)
    store.materialize()
    clock.advance(S)
    spend(store, 2.0)
    unfinished(store)
    clock.advance(S)
    with keeping(store) as serve:
        serve("wallet", {"user": ["a"]})
        clock.advance(S)
        store.materialize()  # says what snapshots hold
        serve("wallet", {"user": ["a"]})
    assert counts(store) == {"compared": 2, "equal": 2}
    spend(store, 4.0, ago=3)  # known by the time of the run that was killed: was it folded?
    assert counts(store) == {"compared": 2, "behind": 2}


def test_nothing_is_said_of_what_nobody_knows(store: ns.FeatureStore, clock: FixedClock) -> None:
    spend(store, 1.0)
    clock.advance(S)
    unfinished(store)
    with keeping(store) as serve:
        serve("wallet", {"user": ["a"]})
    assert counts(store) == {"compared": 1, "equal": 1}
    spend(store, 4.0, ago=1)  # in the snapshot of that run, or not? nobody has written it down
    assert counts(store) == {"undecided": 1}
    assert store.audit_skew().is_equal


def test_an_old_row_has_what_later_runs_found_too(
    store: ns.FeatureStore, clock: FixedClock
) -> None:
    """The registry knows the last run only, and that run had nothing new of this entity."""
    spend(store, 1.0)
    store.materialize()
    clock.advance(S)
    spend(store, 2.0, user="b")
    store.materialize()
    clock.advance(S)
    with keeping(store) as serve:
        serve("wallet", {"user": ["a"]})
    spend(store, 4.0, ago=2)
    assert counts(store) == {"compared": 1, "behind": 1}


def test_an_older_row_than_was_written_is_behind_and_told(
    store: ns.FeatureStore, clock: FixedClock
) -> None:
    spend(store, 1.0)
    store.materialize()
    key = next(k for k, _ in store.online.scan() if k.endswith(b"\x01a"))
    (old,) = store.online.read([key])
    assert old is not None
    clock.advance(S)
    spend(store, 2.0)
    store.materialize()
    store.online.delete([key])
    store.online.write([key], [old])
    clock.advance(S)
    with keeping(store) as serve:
        serve("wallet", {"user": ["a"]})
    assert counts(store) == {"compared": 1, "behind": 1}
    example = store.audit_skew().services[0].features["sum"].examples[0]
    assert (example.served, example.known, example.folded) == (1.0, 3.0, 3.0)
    assert "lost a write" in example.cause


def test_a_server_whose_clock_is_behind_answers_as_of_its_rows(
    store: ns.FeatureStore, clock: FixedClock
) -> None:
    spend(store, 1.0)
    clock.advance(60 * S)
    spend(store, 2.0)
    store.materialize()
    clock.set(START + S)
    with keeping(store) as serve:
        assert serve("wallet", {"user": ["a"]}).to_dict()["sum"] == [3.0]
    assert counts(store) == {"compared": 1, "equal": 1}


@pytest.mark.parametrize("share", [-0.1, 1.5, float("nan")])
def test_a_share_is_between_0_and_1(tmp_path: Path, share: float) -> None:
    write_config(tmp_path, sections=["[serve]", f"audit = {share}"])
    with pytest.raises(ns.NoskewError, match=r"serve\.audit must be 0 to 1"):
        ns.config.load(tmp_path)


def test_answers_under_a_definition_that_means_something_else_by_now_are_told(
    store: ns.FeatureStore, clock: FixedClock
) -> None:
    spend(store, 1.0)
    with keeping(store) as serve:
        serve("wallet", {"user": ["a"]})
    (served,) = store.registry.records("shop", SERVED)
    moved = msgspec.structs.replace(served.value, table="served_by_another_version")
    other = replace(served, key=DefinitionKey("wallet:old"), value=moved)
    store.registry.put_record("shop", other)
    (skew,) = store.audit_skew().services
    assert skew.rows == 1
    (fault,) = skew.faults
    assert "another version" in fault


# ---------------------------------------------------------------- on demand


@pytest.fixture
def functions(store: ns.FeatureStore, monkeypatch: pytest.MonkeyPatch) -> Any:
    (store.root / "audit_functions.py").write_text(FUNCTIONS, encoding="utf-8")
    monkeypatch.syspath_prepend(str(store.root))
    sys.modules.pop("audit_functions", None)
    return importlib.import_module("audit_functions")


def test_outputs_of_functions_are_computed_from_what_was_asked(
    store: ns.FeatureStore, clock: FixedClock, functions: Any
) -> None:
    share = ns.OnDemand(
        "share",
        functions.share,
        inputs=[VIEW["last"]],
        request={"budget": float},
        outputs={"share": float},
    )
    store.apply(ns.FeatureService("wallet", [share]), uncertified=True)
    spend(store, 1.0)
    store.materialize()
    asked = {"user": ["a", "b", None, "a"], "budget": [4.0, 2.0, 1.0, 8.0]}
    with keeping(store) as serve:
        serve("wallet", asked)
        clock.advance(S)
        spend(store, 3.0)
        clock.advance(S)
        serve("wallet", asked)
        store.materialize()
        answer = serve("wallet", asked)
    assert counts(store, "share") == {"compared": 12, "equal": 10, "behind": 2}
    kept = store.get_served("wallet").to_arrow()
    assert kept.column("budget").to_pylist() == asked["budget"] * 3
    assert (
        kept.column("share").to_pylist()[-4:]
        == answer.to_dict()["share"]
        == [
            0.75,
            None,
            None,
            0.375,
        ]
    )


def test_a_function_that_is_not_pure_is_skew(
    store: ns.FeatureStore, clock: FixedClock, functions: Any
) -> None:
    counting = ns.OnDemand(
        "counting", functions.counting, inputs=[VIEW["last"]], outputs={"calls": float}
    )
    store.apply(ns.FeatureService("wallet", [VIEW["last"], counting]), uncertified=True)
    spend(store, 1.0)
    store.materialize()
    clock.advance(S)
    with keeping(store) as serve:
        serve("wallet", {"user": ["a"]})
    assert counts(store, "last") == {"compared": 1, "equal": 1}
    assert counts(store, "calls") == {"compared": 1, "different": 1}
    assert "function counting" in store.audit_skew().services[0].features["calls"].examples[0].cause


def test_a_function_that_is_gone_leaves_its_values_undecided(
    store: ns.FeatureStore, clock: FixedClock, functions: Any
) -> None:
    share = ns.OnDemand(
        "share",
        functions.share,
        inputs=[VIEW["last"]],
        request={"budget": float},
        outputs={"share": float},
    )
    store.apply(ns.FeatureService("wallet", [share]), uncertified=True)
    spend(store, 1.0)
    store.materialize()
    clock.advance(S)
    with keeping(store) as serve:
        serve("wallet", {"user": ["a"], "budget": [1.0]})
    path = store.root / "audit_functions.py"
    path.write_text(FUNCTIONS.replace("/ given", "* given"), encoding="utf-8")
    sys.modules.pop("audit_functions")
    (skew,) = store.audit_skew("wallet").services
    assert skew.features["share"].counts()["undecided"] == 1
    assert any("share" in fault for fault in skew.faults)


# ---------------------------------------------------------------- the command


def run(store: ns.FeatureStore, *arguments: str) -> tuple[int, str]:
    found = CliRunner().invoke(app, ["-C", str(store.root), "audit", *arguments])
    return found.exit_code, found.output


def test_the_command_says_what_is_wrong_and_ends_with_1(
    store: ns.FeatureStore, clock: FixedClock
) -> None:
    spend(store, 1.0)
    spend(store, 7.0, user="b")
    store.materialize()
    clock.advance(S)
    with keeping(store) as serve:
        serve("wallet", {"user": ["a", "b"]})
    since = to_datetime(START).isoformat()
    ok, said = run(store, "skew", "--since", since)
    assert (ok, "No skew" in said) == (0, True), said
    key = next(k for k, _ in store.online.scan() if k.endswith(b"\x01a"))
    store.online.delete([key])
    with keeping(store) as serve:
        serve("wallet", {"user": ["a"]})
    failed, said = run(store, "skew", "wallet", "--since", since)
    assert failed == 1
    for words in ("wallet.sum of user=a", "served None", "give 1.0", "lost the row", "✗ skew"):
        assert words in said, said
    failed, text = run(store, "skew", "--since", since, "--json")
    assert failed == 1
    told = json.loads(text)
    (service,) = told["services"]
    assert service["features"]["sum"]["different"] == 1
    assert service["features"]["sum"]["examples"][0]["keys"] == {"user": "a"}
    assert run(store, "skew", "walet")[0] == 1


def test_the_command_prints_alert_rules(store: ns.FeatureStore) -> None:
    code, text = run(store, "alerts")
    assert code == 0
    assert yaml.safe_load(text)["groups"][0]["name"] == "noskew-audit"

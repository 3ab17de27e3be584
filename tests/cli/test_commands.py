"""Commands in this process, on the starter project: what they write and what they change."""

from __future__ import annotations

import gzip
import json
import re
import warnings
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import noskew
from noskew.cli import checks
from noskew.clock import MICROS_PER_SECOND, SystemClock, to_text
from noskew.feature_store import FeatureStore
from tests.cli.project import ok, run

QUESTION = ("checkout", "customer=c000", "basket=30")


def edit(root: Path, old: str, new: str) -> None:
    path = root / "features" / "shop.py"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def test_version() -> None:
    assert ok("--version").out.strip() == f"noskew {noskew.__version__}"


# ---------------------------------------------------------------- init


def test_init_makes_a_project_that_says_what_to_do_next(tmp_path: Path) -> None:
    answer = ok("init", tmp_path / "new")
    made = {str(p.relative_to(tmp_path / "new")) for p in (tmp_path / "new").rglob("*.*")}
    assert made == {
        "noskew.toml",
        "README.md",
        "features/shop.py",
        "data/orders.parquet",
        "data/questions.parquet",
    }
    commands = re.findall(r"^noskew .*?(?=   #|$)", (tmp_path / "new/README.md").read_text(), re.M)
    assert len(commands) == 5
    for command in commands:
        assert command.strip() in answer.out


@pytest.mark.parametrize("there", ["noskew.toml", "notes.txt"])
def test_init_overwrites_nothing(tmp_path: Path, there: str) -> None:
    (tmp_path / there).write_text("mine")
    answer = run("init", tmp_path)
    assert answer.code == 1
    assert "nothing is overwritten" in answer.told
    assert [p.name for p in tmp_path.iterdir()] == [there]
    assert (tmp_path / there).read_text() == "mine"


def test_init_refuses_a_file(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    assert "is a file" in run("init", tmp_path / "file").told
    assert (tmp_path / "file").read_text() == "mine"


# ---------------------------------------------------------------- plan, apply, diff


def test_plan_shows_what_would_be_added_and_changes_nothing(tmp_path: Path) -> None:
    ok("init", tmp_path / "new")
    for _ in range(2):
        answer = ok("-C", tmp_path / "new", "plan")
        assert "+ feature view customer_orders" in answer.out
        assert "5 added, 0 changed, 0 removed" in answer.out
        assert "1 to backfill" in answer.out
    assert run("-C", tmp_path / "new", "plan", "--check").code == 3


def test_plan_of_what_is_applied_is_empty(filled: Path) -> None:
    answer = ok("-C", filled, "plan", "--check")
    assert "Nothing to do: 5 definitions are as applied." in answer.out


def test_apply_asks_and_a_no_changes_nothing(shop: Path) -> None:
    edit(shop, 'window=["1d", "7d"], name="orders"', 'window=["1d", "7d", "14d"], name="orders"')
    answer = run("-C", shop, "apply")
    assert answer.code == 1
    assert "say --yes" in answer.told  # nobody is at this terminal
    assert "adds feature orders_14d" in answer.out
    with FeatureStore(shop) as store:
        assert store.applied.version == 1


def test_apply_refuses_breaking_changes_unless_allowed(shop: Path) -> None:
    edit(shop, '    ns.latest("amount", name="last_amount", max_age="14d"),\n', "")
    refused = run("-C", shop, "apply", "--yes")
    assert refused.code == 1
    assert "breaking" in refused.out
    assert "--allow-breaking" in refused.told
    with FeatureStore(shop) as store:
        assert store.applied.version == 1
    ok("-C", shop, "apply", "--yes", "--allow-breaking", "-m", "nobody needs it")
    listed = ok("-C", shop, "list", "versions").out
    assert "nobody needs it" in listed
    changed = ok("-C", shop, "diff").out
    assert "version 1 → version 2" in changed
    assert "removes feature last_amount" in changed
    assert "backfill" not in changed
    back = ok("-C", shop, "diff", "2", "1").out
    assert "adds feature last_amount" in back


def test_apply_is_refused_if_somebody_applied_after_the_plan(
    shop: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    edit(shop, 'window=["1d", "7d"], name="orders"', 'window=["1d"], name="orders"')
    made = FeatureStore.plan

    def slow_plan(store: FeatureStore, desired: object = None) -> object:
        found = made(store, desired)  # type: ignore[arg-type]
        with FeatureStore(store.root) as other:
            other.apply(message="meanwhile")
        return found

    monkeypatch.setattr(FeatureStore, "plan", slow_plan)
    answer = run("-C", shop, "apply", "--yes", "--allow-breaking")
    assert answer.code == 1
    assert "ConflictError" in answer.err
    assert "meanwhile" in answer.told


def test_diff_of_versions_that_are_not_there(filled: Path) -> None:
    answer = run("-C", filled, "diff", "7", "9")
    assert answer.code == 1
    assert "no version 7" in answer.told


# ---------------------------------------------------------------- list, show


def test_list_names_everything_with_owner_and_features(filled: Path) -> None:
    out = ok("-C", filled, "list").out
    for title in ("Feature services", "Feature views", "Sources", "Entities", "On-demand"):
        assert title in out
    assert re.search(r"customer_ord\S+\s+customer\s+orders\s+you\s+8\s+\d{4}-\d\d-\d\d", out), out


def test_list_counts_the_events_of_views_when_it_is_told_to(filled: Path) -> None:
    out = ok("-C", filled, "list", "views", "--events").out
    assert re.search(r"you\s+8\s+5,000\s+\d{4}-\d\d-\d\d", out), out


@pytest.mark.parametrize("kind", ["services", "views", "sources", "entities", "on-demand"])
def test_list_of_one_kind(filled: Path, kind: str) -> None:
    assert ok("-C", filled, "list", kind).out.count("──") > 1


def test_list_before_anything_is_applied(tmp_path: Path) -> None:
    ok("init", tmp_path / "new")
    assert "noskew apply" in ok("-C", tmp_path / "new", "list").err


def test_show_a_view(filled: Path) -> None:
    out = ok("-C", filled, "show", "customer_orders").out
    with FeatureStore(filled) as store:
        assert store.applied.project.view("customer_orders").definition_hash in out
    assert re.search(r"orders_7d +\(━+\] +7d, in steps of 6h", out)
    assert re.search(r"last_amount +\[┄+●\] +newest, at most 14d old", out)
    assert "made of" in out
    assert re.search(r"returns .*order_id, returned", out)  # lineage
    assert "5,000 offline" not in out
    assert "5,000 offline" in ok("-C", filled, "show", "customer_orders", "--events").out


def test_show_a_service_gives_code_that_runs(filled: Path) -> None:
    out = ok("-C", filled, "show", "checkout").out
    assert "customer: string" in out
    assert "basket: float64" in out
    words = re.search(r"noskew get (.*)", out)
    assert words is not None
    service, *pairs = words[1].replace("'", "").split()
    assert ok("-C", filled, "get", service, *pairs).code == 0


@pytest.mark.parametrize("name", ["orders", "customer", "basket"])
def test_show_other_kinds(filled: Path, name: str) -> None:
    assert "definition hash" in ok("-C", filled, "show", name).out


def test_show_what_is_not_there_names_what_is(filled: Path) -> None:
    answer = run("-C", filled, "show", "chekout")
    assert answer.code == 1
    assert "Did you mean 'checkout'?" in answer.told


# ---------------------------------------------------------------- ingest, materialize, backfill


def test_ingest_again_adds_nothing(shop: Path) -> None:
    answer = ok("-C", shop, "ingest")
    assert "0 new events into 1 offline table" in answer.err


def test_ingest_from_a_file_then_materialize_what_is_new(shop: Path) -> None:
    now = SystemClock().now()
    when = pa.timestamp("us", "UTC")
    more = pa.table(
        {
            "order_id": [1_000_000],
            "customer": ["c000"],
            "shop": ["corner"],
            "amount": [5.5],
            "returned": [False],
            "ordered_at": pa.array([now - 60 * MICROS_PER_SECOND], when),
            "recorded_at": pa.array([now - MICROS_PER_SECOND], when),
        }
    )
    pq.write_table(more, shop / "more.parquet")
    before = values(shop)
    ok("-C", shop, "ingest", "orders", "--from", shop / "more.parquet")
    assert values(shop)["last_amount"] == before["last_amount"]
    written = ok("-C", shop, "materialize").err
    assert re.search(r"materialize 1 rows \(1 changed\) of 1 view", written)
    after = values(shop)
    assert after["last_amount"] == 5.5
    assert after["orders_1d"] == before["orders_1d"] + 1


def test_ingest_of_an_unknown_source(filled: Path) -> None:
    assert "valid names: orders" in run("-C", filled, "ingest", "nosuch").told


def test_materialize_an_unknown_view(filled: Path) -> None:
    assert "valid names: customer_orders" in run("-C", filled, "materialize", "nosuch").told


def test_backfill_fills_a_view_that_was_added(shop: Path) -> None:
    edit(shop, "\n\ndef compare", VIEW_OF_SHOPS + "\n\ndef compare")
    ok("-C", shop, "apply", "--yes")
    answer = ok("-C", shop, "backfill", "shop_orders")
    assert "5,000 new events" in answer.err
    assert "3 rows (3 changed) of 1 view" in answer.err


VIEW_OF_SHOPS = """

place = ns.Entity("place", keys={"shop": str})
shop_orders = ns.FeatureView(
    "shop_orders", entity=place, source=orders, features=[ns.count(window="7d", name="sold")]
)
"""


# ---------------------------------------------------------------- get, historical


def values(root: Path, *words: str) -> dict[str, object]:
    answer = json.loads(ok("-C", root, "get", *QUESTION, "--json", *words).out)
    return {name: column[0] for name, column in answer["values"].items()}


def test_get_gives_a_table_with_statuses(filled: Path) -> None:
    out = ok("-C", filled, "get", "checkout", "customer=c000,nobody", "basket=30").out
    assert "customer=c000" in out
    assert "customer=nobody" in out
    assert re.search(r"orders_7d +\d+ +0 MISSING", out)
    many = ok("-C", filled, "get", "checkout", "customer=c000,c001,c002,c003,c004", "basket=30")
    assert "c004" in many.out


def test_get_as_json_is_what_the_reader_gives(filled: Path) -> None:
    answer = json.loads(
        ok("-C", filled, "get", "checkout", "customer=c000,,x", "basket=1,2,3", "--json").out
    )
    rows = {"customer": ["c000", None, "x"], "basket": [1.0, 2.0, 3.0]}
    with FeatureStore(filled) as store:
        expected = store.get_online_features("checkout", rows)
    assert {k: answer["values"][k] for k in rows} == rows
    assert answer["statuses"] == expected.statuses()
    assert answer["values"]["spent_7d"] == expected.to_dict()["spent_7d"]
    assert answer["event_times"]["customer_orders"][1:] == [None, None]


def test_get_as_of_a_time_equals_the_training_set_of_that_time(
    filled: Path, tmp_path: Path
) -> None:
    later = SystemClock().now() + 3_600 * MICROS_PER_SECOND
    rows = pa.table(
        {
            "customer": ["c000"],
            "basket": [30.0],
            "event_timestamp": pa.array([later], pa.timestamp("us", "UTC")),
        }
    )
    pq.write_table(rows, tmp_path / "rows.parquet")
    ok(
        "-C",
        filled,
        "historical",
        "checkout",
        tmp_path / "rows.parquet",
        "-o",
        tmp_path / "out.parquet",
        "--known-at",
        "row",
    )
    trained = pq.read_table(tmp_path / "out.parquet").to_pylist()[0]
    del trained["event_timestamp"]
    assert values(filled, "--at", to_text(later)) == trained


def test_get_as_of_a_time_that_the_online_store_has_forgotten(filled: Path) -> None:
    answer = run("-C", filled, "get", *QUESTION, "--at", "2013-01-01T00:00:00Z")
    assert answer.code == 1
    assert "keeps the newest state only" in answer.told


def test_get_as_of_a_time_without_an_offset(filled: Path) -> None:
    answer = run("-C", filled, "get", *QUESTION, "--at", "2030-01-01T00:00:00")
    assert answer.code == 1
    assert "no offset" in answer.told


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("checkout",), "also needed: customer=<string>, basket=<float64>"),
        (("checkot", "customer=x", "basket=1"), "Did you mean 'checkout'?"),
        (("checkout", "custmer=x", "basket=1"), "Did you mean 'customer'?"),
        (("checkout", "customer=x", "basket=abc"), "basket='abc' is not of type float64"),
        (("checkout", "customer", "basket=1"), "expected name=value"),
        (("checkout", "customer=x,y,z", "basket=1,2"), "'basket' has 2 values"),
    ],
)
def test_get_with_a_wrong_question(filled: Path, words: tuple[str, ...], told: str) -> None:
    answer = run("-C", filled, "get", *words)
    assert answer.code == 1
    assert told in answer.told
    assert answer.out == ""


def test_historical_writes_the_rows_with_features_and_saves_them(shop: Path) -> None:
    rows = shop / "data" / "questions.parquet"
    answer = ok(
        "-C",
        shop,
        "historical",
        "checkout",
        rows,
        "-o",
        shop / "training.parquet",
        "--known-at",
        "row",
        "--save",
        "first",
    )
    made = pq.read_table(shop / "training.parquet")
    asked = pq.read_table(rows)
    assert made.select(asked.column_names).equals(asked)
    assert "500 rows × 9 features" in answer.err
    with FeatureStore(shop) as store:
        saved = store.training_set("first")
        assert saved.table.equals(made)
        assert saved.digest in answer.out


def test_historical_of_csv_rows(filled: Path, tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_text(
        "customer,basket,event_timestamp\nc000,30.5,2026-01-05T00:00:00+02:00\n"
    )
    out = tmp_path / "out.parquet"
    ok("-C", filled, "historical", "checkout", tmp_path / "rows.csv", "-o", out)
    row = pq.read_table(out).to_pylist()[0]
    assert str(row["event_timestamp"]) == "2026-01-04 22:00:00+00:00"


CALLERS = "answer;code;customer;basket;event_timestamp\nyes;007;c000;30.5;{}\nno;1e3;c000;NaN;{}\n"


@pytest.mark.parametrize("name", ["rows.txt", "rows.CSV", "rows.csv.gz"])
def test_historical_guesses_nothing_in_a_csv(filled: Path, tmp_path: Path, name: str) -> None:
    text = CALLERS.format("03/04/2025 00:30", "3/4/2025 1:30")
    pack = gzip.compress if name.endswith(".gz") else bytes
    (tmp_path / name).write_bytes(pack(text.encode()))
    out = tmp_path / "out.parquet"
    command = ("-C", filled, "historical", "checkout", tmp_path / name, "-o", out)
    refused = run(*command)
    assert refused.code == 1
    assert "line 2: column 'event_timestamp'" in refused.told
    assert "timestamp_format=" in refused.told
    refused = run(*command, "--timestamp-format", "%d/%m/%Y %H:%M")
    assert refused.code == 1
    assert "set timezone=" in refused.told
    ok(*command, "--timestamp-format", "%d/%m/%Y %H:%M", "--timezone", "Europe/Berlin")
    rows = pq.read_table(out)
    assert rows["answer"].to_pylist() == ["yes", "no"]
    assert rows["code"].to_pylist() == ["007", "1e3"]
    assert [str(t) for t in rows["event_timestamp"].to_pylist()] == [
        "2025-04-02 22:30:00+00:00",
        "2025-04-02 23:30:00+00:00",
    ]
    assert rows["basket"].to_pylist()[0] == 30.5


def test_historical_of_rows_that_are_not_there(filled: Path, tmp_path: Path) -> None:
    answer = run("-C", filled, "historical", "checkout", "absent.parquet", "-o", tmp_path / "x")
    assert answer.code == 1
    assert "no Parquet file at 'absent.parquet'" in answer.told
    assert not (tmp_path / "x").exists()


# ---------------------------------------------------------------- doctor


def test_doctor_finds_all_well(filled: Path) -> None:
    out = ok("-C", filled, "doctor").out
    for what in ("libraries", "definitions", "registry", "offline store", "online store", "disk"):
        assert re.search(f"[✓!] {what}", out)


def test_doctor_says_what_to_do_before_apply(tmp_path: Path) -> None:
    ok("init", tmp_path / "new")
    assert "run: noskew apply" in ok("-C", tmp_path / "new", "doctor").out


def test_doctor_says_what_was_never_filled(tmp_path: Path) -> None:
    root = tmp_path / "new"
    ok("init", root)
    ok("-C", root, "apply", "--yes")
    out = ok("-C", root, "doctor").out
    assert "nothing was ingested for customer_orders: run noskew ingest" in out
    assert "never materialized: customer_orders" in out


def test_doctor_finds_a_redis_that_is_down(shop: Path) -> None:
    with (shop / "noskew.toml").open("a") as file:
        file.write('[online]\nurl = "redis://127.0.0.1:1/0?timeout_s=0.5"\n')
    answer = run("-C", shop, "doctor")
    assert answer.code == 1
    assert re.search("✗ online store.*StoreUnavailableError", answer.out)
    assert "1 thing to repair" in answer.out


def test_doctor_finds_a_redis_that_evicts(shop: Path) -> None:
    from tests.servers import redis_server

    options = ("--maxmemory", "64mb", "--maxmemory-policy", "allkeys-lru")
    with redis_server(*options) as server:
        with (shop / "noskew.toml").open("a") as file:
            file.write(f'[online]\nurl = "{server.url}"\n')
        answer = run("-C", shop, "doctor")
    assert answer.code == 1
    assert re.search("✗ online store.*StoreConfigError.*maxmemory", answer.out)


def test_doctor_outside_of_a_project(tmp_path: Path) -> None:
    answer = run("-C", tmp_path, "doctor")
    assert answer.code == 1
    assert "✗ configuration" in answer.out
    assert "noskew init" in answer.out


def test_doctor_makes_the_kernel_warm_outside_of_a_project(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checks, "warm_up", lambda: 1.5)  # test_warmth.py has the real one
    out = ok("-C", tmp_path, "doctor", "--warm").out
    assert "✓ kernel  compiled and kept; ready after 1.5 s" in out
    assert "! configuration" in out


# ---------------------------------------------------------------- compact, prune


def test_compact_says_how_many_files_there_were_and_are(shop: Path, tmp_path: Path) -> None:
    orders = pq.read_table(shop / "data" / "orders.parquet").slice(0, 100)
    numbers = pa.array(range(10_000, 10_100))
    pq.write_table(orders.set_column(0, "order_id", numbers), tmp_path / "more.parquet")
    ok("-C", shop, "ingest", "orders", "--from", tmp_path / "more.parquet")
    answer = ok("-C", shop, "compact")
    told = re.search(r"compact (\d+) files of 1 offline table are (\d+) now", answer.told)
    assert told, answer.told
    before, after = map(int, told.groups())
    assert before > after
    assert f"customer_orders: {before} → {after} files" in answer.out
    again = ok("-C", shop, "compact", "customer_orders")
    assert f"customer_orders: {after} → {after} files" in again.out
    assert "Did you mean 'customer_orders'" in run("-C", shop, "compact", "customer_order").told


def test_prune_asks_and_removes_only_what_is_not_applied(shop: Path) -> None:
    assert "Nothing to remove" in ok("-C", shop, "prune").told
    before = values(shop)
    edit(shop, 'window=["1d", "7d"], name="orders"', 'window=["1d", "7d", "14d"], name="orders"')
    ok("-C", shop, "apply", "--yes")
    ok("-C", shop, "materialize")
    refused = run("-C", shop, "prune")
    assert refused.code == 1
    assert "say --yes" in refused.told
    count = re.search(r"- (\d+) rows of customer_orders [0-9a-f]{32}", refused.out)
    assert count is not None
    assert int(count[1]) > 0
    assert f"Removed {count[1]} rows" in ok("-C", shop, "prune", "--yes").out
    assert "Nothing to remove" in ok("-C", shop, "prune").told
    assert before.items() <= values(shop).items()


# ---------------------------------------------------------------- what users are told


def test_get_before_materialize_names_the_command(tmp_path: Path) -> None:
    ok("init", tmp_path / "new")
    ok("-C", tmp_path / "new", "apply", "--yes")
    answer = run("-C", tmp_path / "new", "get", *QUESTION)
    assert answer.code == 1
    assert "run 'noskew materialize customer_orders'" in answer.told


def test_a_cold_kernel_is_announced_once(
    shop: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path / "cold"))
    for words in (("ingest",), ("materialize",), ("get", *QUESTION)):
        assert ok("-C", shop, *words).told.count("compiling kernels, once per machine") == 1
    (tmp_path / "cold").mkdir()
    (tmp_path / "cold" / "fold.nbi").touch()
    assert "compiling kernels" not in ok("-C", shop, "ingest").told


def test_a_warning_is_a_sentence_without_a_place_in_the_code(shop: Path, tmp_path: Path) -> None:
    edit(shop, '    created="recorded_at",\n', "")
    ok("-C", shop, "apply", "--yes", "--allow-breaking")
    ok("-C", shop, "ingest")
    with warnings.catch_warnings():
        warnings.simplefilter("default")
        answer = ok(
            "-C",
            shop,
            "historical",
            "checkout",
            shop / "data" / "questions.parquet",
            "-o",
            tmp_path / "out.parquet",
            "--known-at",
            "row",
        )
    assert 'warning: known_at="row" gives nulls to rows from before' in answer.told
    assert ".py" not in answer.told


def test_show_hides_the_secrets_of_a_connector(shop: Path) -> None:
    edit(
        shop,
        'ns.Parquet("data/orders.parquet")',
        'ns.Iceberg("a.b", {"uri": "postgresql://me:hunter2@h/d", "s3.secret-access-key": '
        '"hunter2", "type": "sql"})',
    )
    ok("-C", shop, "apply", "--yes")
    answer = ok("-C", shop, "show", "orders")
    assert "'type': 'sql'" in answer.out
    assert "postgresql://***@h/d" in answer.out
    assert "hunter2" not in answer.out

"""Events pushed over HTTP: in the log once they are acknowledged, read once they are waited for."""

from __future__ import annotations

import fcntl
import signal
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Thread
from typing import Any, NamedTuple

import httpx
import psutil
import pyarrow as pa
import pytest

import noskew as ns
from noskew.clock import to_datetime
from noskew.errors import (
    InputError,
    LimitError,
    NotFoundError,
    SchemaMismatchError,
    StoreUnavailableError,
)
from noskew.streaming.streams import Streams
from noskew.wire.media_types import ARROW
from noskew.wire.pushed import Pushed
from tests.servers import free_port, redis_server, wait_until
from tests.serving import shop
from tests.serving.feature_server import FeatureServer, running, write_config
from tests.serving.test_answers import as_json
from tests.serving.test_documents import check, metrics

ORDER = {"user": int, "at": "timestamp", "amount": float, "id": str}
ORDERS = ns.Source("orders", ORDER, event_time="at", event_id="id", stream=ns.LocalLog())
UNREAD = ns.Source(
    "unread",
    ORDER,
    event_time="at",
    stream=ns.LocalLog(partitions=3, key="user"),
    description="Nobody folds it.",
)
ITEMS = ns.Source("items", {**shop.ITEMS.schema.texts()}, event_time="at", stream=ns.LocalLog())
CLICKS = ns.Source("clicks", ORDER, event_time="at", stream=ns.Kafka("clicks-topic"))
BATCH = ns.Source("batch", ORDER, event_time="at")
USER = ns.Entity("user", {"user": int})
SPENT = ns.FeatureView(
    "spent", entity=USER, source=ORDERS, features=[ns.count(), ns.sum("amount", window="1d")]
)
NEWEST = ns.FeatureView("newest", entity=USER, source=ORDERS, features=["amount", "id"])
LONELY = ns.FeatureView("lonely", entity=USER, source=UNREAD, features=["amount"])
SERVICE = ns.FeatureService("svc", [SPENT, NEWEST])
DEFINED = [SERVICE, LONELY, ITEMS, CLICKS, BATCH]
PUSHABLE = ["items", "orders", "unread"]


class Pushing(NamedTuple):
    """A store in this process, and a server on the same data."""

    store: ns.FeatureStore
    server: FeatureServer

    @property
    def url(self) -> str:
        return self.server.url

    def post(self, path: str, body: Any = None, **options: Any) -> httpx.Response:
        content = body if isinstance(body, bytes) else as_json(body)
        headers = {"content-type": "application/json", **options.pop("headers", {})}
        url = self.server.url + path
        return httpx.post(url, content=content, headers=headers, timeout=30, **options)

    def ends(self, source: ns.Source) -> list[int]:
        log = self.store.logs.of(source)
        return [log.bounds(p)[1] for p in range(log.partitions)]

    def rows(self, source: ns.Source, partition: int, offset: int) -> pa.Table:
        """The rows of the message at an offset."""
        with self.store.logs.of(source).reader({partition: offset}) as reader:
            (messages,) = reader.poll(0)
        with pa.ipc.open_stream(messages.payloads[0].as_buffer()) as stream:
            return stream.read_all()


@contextmanager
def pushing(root: Path, *lines: str, workers: int = 1) -> Iterator[Pushing]:
    write_config(root, sections=[*lines, "[serve]", "max_rows = 1000", "max_body_bytes = 500000"])
    with ns.FeatureStore(root) as store:
        store.apply(DEFINED)
        with running(root, workers=workers) as server:
            yield Pushing(store, server)


@contextmanager
def processed(streams: Streams, *views: ns.FeatureView) -> Iterator[None]:
    """Fold the orders as they come, in a thread."""
    stop = Event()
    with streams.processor(ORDERS, views) as processor:
        thread = Thread(target=processor.run, args=(stop,))
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join()


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pushing]:
    """For tests that need no processor."""
    with pushing(tmp_path_factory.mktemp("push"), workers=2) as made:
        yield made


def order(store: ns.FeatureStore, number: int = 1, user: int = 1) -> dict[str, Any]:
    at = to_datetime(store.clock.now())
    return {"user": user, "at": at, "amount": float(number), "id": f"o{number}"}


def arrow(table: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return sink.getvalue().to_pybytes()


# ---------------------------------------------------------------- what is in the log


def test_every_type_arrives_bit_for_bit_in_every_form(shared: Pushing):
    table = shop.items()
    bodies: list[tuple[Any, str]] = [
        ({"rows": table.to_pylist()}, "application/json"),
        ({"rows": table.to_pydict()}, "application/json"),
        (arrow(table), ARROW),
    ]
    for body, kind in bodies:
        before = shared.ends(ITEMS)[0]
        answer = shared.post("/push/items", body, headers={"content-type": kind})
        assert answer.status_code == 202, answer.text
        assert answer.json() == {"appended": len(table), "offsets": {"0": before + 1}}
        assert shop.bits(shared.rows(ITEMS, 0, before)) == shop.bits(table), kind
    with ns.Client(shared.url) as client:
        for rows in (table, table.to_pydict(), table.to_pylist(), table.to_batches()[0]):
            offset = client.push("items", rows)[0]
            assert shop.bits(shared.rows(ITEMS, 0, offset - 1)) == shop.bits(table)
    here = shared.store.push("items", table)
    assert shop.bits(shared.rows(ITEMS, 0, here[0] - 1)) == shop.bits(table)


def test_frames_are_pushed_whatever_their_layout(shared: Pushing):
    import pandas as pd
    import polars as pl

    row = order(shared.store)
    columns = {name: [value] * 2 for name, value in row.items()}
    frames = [
        pl.DataFrame(columns),
        pl.DataFrame(columns).with_columns(pl.col("id").cast(pl.Categorical)),
        pd.DataFrame(columns).astype({"id": "category"}),
        pa.table(columns).set_column(3, "id", pa.array(columns["id"], pa.string_view())),
        {**columns, "more": [object(), object()]},
    ]
    with ns.Client(shared.url) as client:
        for frame in frames[:-1]:
            offset = client.push("orders", frame)[0]
            assert shared.rows(ORDERS, 0, offset - 1).to_pylist() == [row, row]
        with pytest.raises(InputError):
            client.push("orders", {"user": [1, "x"], "at": columns["at"]})


def test_columns_that_the_source_lacks_are_left_out_and_a_row_may_leave_one_out(shared: Pushing):
    row = order(shared.store)
    rows = [{**row, "extra": {"a": 1}}, {"user": 2, "at": row["at"], "id": "z"}]
    offset = shared.post("/push/orders", {"rows": rows}).json()["offsets"]["0"]
    assert shared.rows(ORDERS, 0, offset - 1).to_pylist() == [
        row,
        {**row, "user": 2, "id": "z", "amount": None},
    ]


def test_rows_go_to_the_partitions_of_their_keys(shared: Pushing):
    before = shared.ends(UNREAD)
    rows = [order(shared.store, user=u) for u in range(30)]
    offsets = shared.post("/push/unread", {"rows": rows}).json()["offsets"]
    assert {int(p): o for p, o in offsets.items()} == {p: n + 1 for p, n in enumerate(before)}
    there = [shared.rows(UNREAD, p, n).column("user").to_pylist() for p, n in enumerate(before)]
    assert sorted(user for part in there for user in part) == list(range(30))
    assert min(map(len, there)) > 0


def test_a_large_push_is_one_message(shared: Pushing):
    rows = [order(shared.store, n) | {"id": f"{n:0100}"} for n in range(1_000)]
    answer = shared.post("/push/orders", {"rows": rows}).json()
    assert answer["appended"] == 1_000
    assert shared.rows(ORDERS, 0, answer["offsets"]["0"] - 1).to_pylist() == rows


@pytest.mark.parametrize("rows", [[], {n: [] for n in ORDER}])
def test_no_rows_are_no_message(shared: Pushing, rows: Any):
    before = shared.ends(ORDERS)
    answer = shared.post("/push/orders?wait=online", {"rows": rows})
    assert answer.json() == {"appended": 0, "offsets": {}, "readable": True, "behind": []}
    assert shared.ends(ORDERS) == before


def test_many_at_once_each_get_their_own_offset_from_several_workers(shared: Pushing):
    before = shared.ends(ORDERS)[0]
    at = to_datetime(shared.store.clock.now())

    def push(caller: int) -> dict[int, int]:
        """The row that was pushed, by the offset that was given for it."""
        with ns.Client(shared.url, timeout_s=30) as client:
            return {
                client.push(
                    "orders",
                    {
                        "user": [number],
                        "at": [at],
                        "amount": [1.0],
                        "id": [None],
                    },
                )[0]
                - 1: number
                for number in range(20 * caller, 20 * caller + 20)
            }

    with ThreadPoolExecutor(16) as callers:
        given = {o: n for found in callers.map(push, range(16)) for o, n in found.items()}
    assert sorted(given) == list(range(before, before + 320))
    for offset, number in given.items():
        assert shared.rows(ORDERS, 0, offset).column("user").to_pylist() == [number]
    assert shared.ends(ORDERS) == [before + 320]


# ---------------------------------------------------------------- waiting


def check_reads_follow_pushes(pushed: Pushing, count: int) -> None:
    with httpx.Client(base_url=pushed.url, timeout=30) as client:
        for number in range(1, count + 1):
            body = as_json({"rows": [order(pushed.store, number)]})
            answer = client.post("/push/orders?wait=online", content=body)
            assert (answer.status_code, answer.json()["readable"]) == (200, True), answer.text
            read = client.post("/features/svc", json={"rows": {"user": [1]}}).json()["features"]
            assert (read["count"], read["id"]) == ([number], [f"o{number}"])


def test_a_read_after_a_waited_push_sees_it_every_time(tmp_path: Path):
    with pushing(tmp_path) as made, processed(made.store.streams, SPENT, NEWEST):
        check_reads_follow_pushes(made, 200)
        with ns.Client(made.url) as client:
            for number, push in enumerate((client.push, made.store.push) * 5, 201):
                given = push("orders", [order(made.store, number)], wait=20.0)
                assert (given, given.readable, given.behind) == ({0: number}, True, ())
                for store in (client, made.store):
                    found = store.get_online_features("svc", {"user": [1]}).to_dict()
                    assert found["id"] == [f"o{number}"]


def test_a_read_after_a_waited_push_sees_it_in_redis(tmp_path: Path):
    with redis_server("--maxmemory-policy", "noeviction") as redis:
        online = ["[online]", f'url = "{redis.url}"']
        with pushing(tmp_path, *online) as made, processed(made.store.streams, SPENT, NEWEST):
            check_reads_follow_pushes(made, 50)


def test_a_push_that_waits_in_vain_is_in_the_log_once_and_says_who_is_behind(tmp_path: Path):
    with pushing(tmp_path) as made:
        with processed(made.store.streams, SPENT):  # one view of two
            answer = made.post("/push/orders?wait=online&wait_s=4", {"rows": [order(made.store)]})
        assert answer.status_code == 202
        assert answer.json() == {
            "appended": 1,
            "offsets": {"0": 1},
            "readable": False,
            "behind": ["newest"],
        }
        with ns.Client(made.url) as client:
            pushes = [
                client.push("orders", [order(made.store)], wait=0.1),
                made.store.push("orders", [order(made.store)], wait=0.1),
            ]
        behind = ("newest", "spent")
        told = [(p.offsets, p.readable, p.behind) for p in pushes]
        assert told == [({0: 2}, False, behind), ({0: 3}, False, behind)]
        assert made.ends(ORDERS) == [3]
        before = metrics(made.server)
        labels = 'route="push-wait",service=""'
        assert before[f'noskew_http_requests_total{{{labels},status="202"}}'] == 2


def test_a_push_need_not_wait_and_an_async_client_pushes_too(shared: Pushing):
    import asyncio

    async def push() -> list[Pushed]:
        async with ns.AsyncClient(shared.url, timeout_s=30) as client:
            rows = [order(shared.store)]
            return await asyncio.gather(*(client.push("orders", rows) for _ in range(10)))

    before = shared.ends(ORDERS)[0]
    made = asyncio.run(push())
    assert sorted(p[0] for p in made) == [before + n for n in range(1, 11)]
    assert {p.readable for p in made} == {None}


def test_where_nothing_is_read_online_nothing_can_be_waited_for(shared: Pushing):
    before = shared.ends(ITEMS)
    answer = shared.post("/push/items?wait=online", {"rows": shop.items().to_pylist()})
    assert answer.status_code == 422
    assert "no view is made online" in answer.json()["error"]["message"]
    with pytest.raises(InputError, match="push without waiting"):
        shared.store.push("items", shop.items(), wait=1.0)
    assert shared.ends(ITEMS) == before


# ---------------------------------------------------------------- what is refused


class Case(NamedTuple):
    what: str
    status: int
    kind: str
    says: str
    body: Any = b'{"rows": []}'
    path: str = "/push/orders"
    valid: list[str] | None = sorted(ORDER)
    headers: dict[str, str] = {}  # noqa: RUF012 - never written


def row(**changes: Any) -> dict[str, Any]:
    made = {"user": 1, "at": "2024-01-01T00:00:00Z", "amount": 1.0, "id": "a"} | changes
    return {"rows": [{n: v for n, v in made.items() if v != "absent"}]}


def df(**changes: Any) -> dict[str, Any]:
    columns = {n: [v] for n, v in row()["rows"][0].items()}
    return {"push_source_name": "orders", "df": columns, **changes}


QUERIES = ["wait=online", "wait=online&wait_s=5"]
OTHER_SITE = {"origin": "http://elsewhere.example"}
CASES = [
    Case(
        "unknown source",
        404,
        "NotFoundError",
        "Did you mean 'orders'?",
        path="/push/order",
        valid=PUSHABLE,
    ),
    Case("no source", 404, "NotFoundError", "''", path="/push/", valid=PUSHABLE),
    Case("long source", 404, "NotFoundError", "…", path="/push/" + "x" * 5_000, valid=PUSHABLE),
    Case("Kafka", 422, "InputError", "clicks-topic", path="/push/clicks", valid=None),
    Case("no stream", 422, "InputError", "it has no stream", path="/push/batch", valid=None),
    Case(
        "query",
        422,
        "InputError",
        "'waits=online'",
        path="/push/orders?waits=online",
        valid=QUERIES,
    ),
    Case(
        "wait for what",
        422,
        "InputError",
        "'wait=offline'",
        path="/push/orders?wait=offline",
        valid=QUERIES,
    ),
    Case(
        "twice",
        422,
        "InputError",
        "wait=online",
        path="/push/orders?wait=online&wait=online",
        valid=QUERIES,
    ),
    Case(
        "seconds alone",
        422,
        "InputError",
        "'wait_s=1'",
        path="/push/orders?wait_s=1",
        valid=QUERIES,
    ),
    *[
        Case(
            f"seconds {s}",
            422,
            "InputError",
            "from 0 to 20",
            valid=None,
            path=f"/push/orders?wait=online&wait_s={s}",
        )
        for s in ("20.1", "-1", "nan", "inf", "soon", "")
    ],
    # bodies
    Case("not JSON", 400, "InputError", "not JSON", b"{", valid=None),
    Case("NaN", 400, "InputError", "not JSON", b'{"rows": [{"amount": NaN}]}', valid=None),
    Case("list", 422, "InputError", "must be a JSON object", b"[]"),
    Case("no rows", 422, "InputError", '"user": […]', b"{}"),
    Case("more", 422, "InputError", "'rows'", {"rows": [], "row": 1}),
    Case("text", 422, "InputError", "expected columns", {"rows": "x"}),
    Case("numbers", 422, "InputError", "rows must be mappings", {"rows": [1]}),
    Case("scalars", 422, "InputError", "must be a list", {"rows": row()["rows"][0]}),
    Case("lengths", 422, "InputError", "different lengths", {"rows": {"user": [1], "id": []}}),
    Case("rows", 413, "LimitError", "at most 1000", {"rows": row()["rows"] * 1_001}),
    Case("bytes", 413, "LimitError", "at most 500000 bytes", b" " * 500_001, valid=None),
    Case(
        "media type",
        415,
        "InputError",
        "'text/csv'",
        valid=["application/json", ARROW],
        headers={"content-type": "text/csv"},
    ),
    Case(
        "no Arrow",
        400,
        "InputError",
        "Arrow",
        b"x",
        headers={"content-type": ARROW},
        valid=None,
    ),
    Case(
        "Arrow rows",
        413,
        "LimitError",
        "at most 1000",
        arrow(pa.table({"id": pa.nulls(10**9)})),
        headers={"content-type": ARROW},
    ),
    Case(
        "Arrow of another type",
        422,
        "SchemaMismatchError",
        "expected int64, got string",
        arrow(pa.table({"user": ["1"], "at": [shop.NOON], "amount": [1.0], "id": ["a"]})),
        headers={"content-type": ARROW},
    ),
    # columns
    *[
        Case(
            f"absent {name}",
            422,
            "SchemaMismatchError",
            f"'{name}' is not there",
            row(**{name: "absent"}),
        )
        for name in ORDER
    ],
    *[
        Case(
            f"{name} {value}",
            422,
            "SchemaMismatchError",
            f"column {name!r}: {says}",
            row(**{name: value}),
        )
        for name, value, says in [
            ("user", "1", "expected int64, got string"),
            ("user", True, "expected int64, got bool"),
            ("user", 1.5, "expected int64"),
            ("user", 2**63, "expected int64"),
            ("user", [1], "expected int64"),
            ("user", {"a": 1}, "expected int64"),
            ("amount", "1.5", "expected float64"),
            ("amount", False, "expected float64"),
            ("id", 1, "expected string"),
            ("id", ["a"], "expected string"),
            ("at", "2024-01-01T00:00:00", "expected timestamp"),
            ("at", "soon", "expected timestamp"),
            ("at", 1_700_000_000, "expected timestamp"),
            ("at", "9999-12-31T23:59:59-14:00", "expected timestamp"),
        ]
    ],
    Case(
        "mixed",
        422,
        "SchemaMismatchError",
        "column 'user': expected int64, got other values",
        {"rows": {"user": [1, "a"], "at": [None] * 2, "amount": [1] * 2, "id": ["a"] * 2}},
    ),
    Case(
        "byte column",
        422,
        "SchemaMismatchError",
        "column 'raw': expected bytes",
        {"rows": [{"raw": "€"}]},
        "/push/items",
        None,
    ),
    # browsers
    Case("another site", 403, "InputError", "may not write", valid=None, headers=OTHER_SITE),
    Case("no site", 403, "InputError", "may not write", valid=None, headers={"origin": "null"}),
    Case(
        "said to be cross-site",
        403,
        "InputError",
        "may not write",
        valid=None,
        headers={"sec-fetch-site": "cross-site"},
    ),
    # Feast's
    Case(
        "Feast's source",
        404,
        "NotFoundError",
        "Did you mean 'orders'?",
        df(push_source_name="order"),
        "/push",
        PUSHABLE,
    ),
    Case(
        "Feast's offline",
        422,
        "InputError",
        "online and offline alike",
        df(to="offline"),
        "/push",
        None,
    ),
    Case("Feast's to", 422, "InputError", "not 'both'", df(to="both"), "/push", None),
    Case(
        "Feast's cache",
        422,
        "InputError",
        "leave 'allow_registry_cache' out",
        df(allow_registry_cache=False),
        "/push",
        None,
    ),
    Case(
        "Feast's transform",
        422,
        "InputError",
        "leave 'transform_on_write' out",
        df(transform_on_write=False),
        "/push",
        None,
    ),
    Case("Feast's option", 422, "InputError", "unknown field `x`", df(x=1), "/push", None),
    Case("Feast's rows", 422, "InputError", "df", df(df=[{"user": 1}]), "/push", None),
    Case("Feast's values", 422, "InputError", "array", df(df={"user": 1}), "/push", None),
    Case("Feast's body", 400, "InputError", "not JSON", b"{", "/push", None),
    Case(
        "Feast's columns",
        422,
        "SchemaMismatchError",
        "'id' is not there",
        df(df={n: [None] for n in ORDER if n != "id"}),
        "/push",
    ),
    Case(
        "Feast's times",
        422,
        "SchemaMismatchError",
        "no offset",
        df(df={n: ["2024-01-01 00:00:00" if n == "at" else None] for n in ORDER}),
        "/push",
    ),
    Case(
        "Feast's from another site",
        403,
        "InputError",
        "may not write",
        df(),
        "/push",
        None,
        headers=OTHER_SITE,
    ),
]


@pytest.mark.parametrize("case", CASES, ids=[c.what.replace(" ", "_") for c in CASES])
def test_a_mistake_is_told_and_appends_nothing(shared: Pushing, case: Case):
    before = [shared.ends(s) for s in (ORDERS, UNREAD, ITEMS)]
    answer = shared.post(case.path, case.body, headers=case.headers)
    assert answer.status_code == case.status, answer.text[:500]
    error = answer.json()["error"]
    assert error["type"] == case.kind, error
    assert case.says in error["message"]
    if case.valid is not None:
        assert error["valid"] == case.valid
    assert [shared.ends(s) for s in (ORDERS, UNREAD, ITEMS)] == before


@pytest.mark.parametrize("path", ["/push/orders", "/push"])
def test_a_push_is_a_post(shared: Pushing, path: str):
    answer = httpx.get(shared.url + path)
    assert (answer.status_code, answer.headers["allow"]) == (405, "POST")


def test_a_page_of_this_server_may_push(shared: Pushing):
    for headers in ({"origin": shared.url}, {"sec-fetch-site": "same-origin"}):
        answer = shared.post("/push/orders", row(), headers=headers)
        assert answer.status_code == 202, answer.text


def test_clients_raise_what_the_store_in_process_raises(shared: Pushing):
    at = shop.NOON
    cases: list[tuple[str, Any, type[Exception]]] = [
        ("order", {}, NotFoundError),
        ("../push", {}, NotFoundError),
        ("clicks", {"user": [1]}, InputError),
        ("orders", {"user": [1]}, SchemaMismatchError),
        ("orders", {"user": ["x"], "at": [at], "amount": [1], "id": ["a"]}, SchemaMismatchError),
        (
            "orders",
            {"user": [1, "x"], "at": [at] * 2, "amount": [1] * 2, "id": ["a"] * 2},
            InputError,
        ),
        ("orders", {"user": [1], "at": ["soon"], "amount": [1], "id": ["a"]}, SchemaMismatchError),
        ("orders", 3, InputError),
    ]
    with ns.Client(shared.url) as client:
        for source, rows, kind in cases:
            for push in (shared.store.push, client.push):
                with pytest.raises(kind):
                    push(source, rows)
        with pytest.raises(LimitError):
            client.push("orders", {n: [None] * 1_001 for n in ORDER})


# ---------------------------------------------------------------- Feast's shape


def test_feasts_push_is_taken(tmp_path: Path):
    with pushing(tmp_path) as made, processed(made.store.streams, SPENT, NEWEST):
        body = df(to="online_and_offline", allow_registry_cache=True, transform_on_write=True)
        answer = made.post("/push?wait=online&wait_s=20", body)
        assert answer.status_code == 200
        told = {"appended": 1, "offsets": {"0": 1}, "readable": True, "behind": []}
        assert answer.json() == told
        form = {"content-type": "application/x-www-form-urlencoded"}
        answer = made.post("/push", df(), headers=form)
        assert (answer.status_code, answer.json()) == (200, {"appended": 1, "offsets": {"0": 2}})
        asked = {"features": ["newest:id"], "entities": {"user": [1]}}
        read = httpx.post(f"{made.url}/get-online-features", json=asked).json()
        assert read["results"][1]["values"] == ["a"]


# ---------------------------------------------------------------- a log that is slow, full or gone


@contextmanager
def held(made: Pushing) -> Iterator[None]:
    """Nobody can append to the orders meanwhile."""
    path = made.store.logs.of(ORDERS).path / "0" / "lock"  # type: ignore[attr-defined]
    with path.open("rb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def connections(server: FeatureServer) -> int:
    """How many this process has to a server."""
    remote = [c.raddr for c in psutil.Process().net_connections() if c.status == "ESTABLISHED"]
    return sum(address.port == server.port for address in remote)


def test_an_append_that_takes_long_holds_up_nobody_and_is_answered_at_the_end(tmp_path: Path):
    with pushing(tmp_path) as made, ThreadPoolExecutor(8) as callers:
        made.post("/push/orders", row())
        with held(made):
            pushes = [callers.submit(made.post, "/push/orders", row()) for _ in range(8)]
            wait_until(lambda: connections(made.server) == 8, "the pushes are on their way")
            for _ in range(20):
                assert made.server.status("/readyz") == 200
            made.server.signal(signal.SIGINT)
            assert made.server.status("/readyz") in (0, 200)
            assert not any(p.done() for p in pushes)
        assert [p.result().status_code for p in pushes] == [202] * 8
        assert made.server.wait() == 0
        offsets = sorted(p.result().json()["offsets"]["0"] for p in pushes)
        assert offsets == list(range(2, 10))
        assert made.ends(ORDERS) == [9]


def test_a_full_log_says_so_and_takes_more_when_there_is_space(tmp_path: Path):
    place = tmp_path / ".noskew/streams/log"
    place.mkdir(parents=True)
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "noskew-test", str(place)]
    mounted = subprocess.run(mount, capture_output=True, text=True, check=False)
    if mounted.returncode != 0:
        pytest.skip(f"only root may mount a small file system: {mounted.stderr.strip()}")
    try:
        with pushing(tmp_path) as made:
            ballast = place / "ballast"
            ballast.write_bytes(bytes(400_000))
            big = row(id="x" * 100_000)
            answers = [made.post("/push/orders", big) for _ in range(10)]
            statuses = [a.status_code for a in answers]
            appended = statuses.count(202)
            assert 0 < appended < 10
            assert statuses == [202] * appended + [503] * (10 - appended)
            assert answers[-1].json()["error"]["type"] == "StoreFullError"
            assert "free space and repeat" in answers[-1].json()["error"]["message"]
            assert metrics(made.server)['noskew_push_errors_total{type="StoreFullError"}'] == (
                10 - appended
            )
            ballast.unlink()
            assert made.post("/push/orders", big).json()["offsets"] == {"0": appended + 1}
            assert made.ends(ORDERS) == [appended + 1]
    finally:
        subprocess.run(["umount", "--lazy", str(place)], check=True)


def test_a_push_without_an_answer_is_not_repeated_and_says_what_is_not_known():
    import socket

    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.settimeout(20)
        taken: list[bytes] = []

        def hang_up() -> None:
            for _ in range(2):
                connection, _ = listening.accept()
                with connection:
                    taken.append(connection.recv(65_536))

        thread = Thread(target=hang_up)
        thread.start()
        url = f"http://127.0.0.1:{listening.getsockname()[1]}"
        with ns.Client(url, attempts=3) as client:
            with pytest.raises(StoreUnavailableError, match="is not known"):
                client.push("orders", row()["rows"])
            assert len(taken) == 1
            with pytest.raises(StoreUnavailableError, match="is not known"):
                client.push("orders", row()["rows"])
        thread.join()
    with (
        ns.Client(f"http://127.0.0.1:{free_port()}", attempts=2) as client,
        pytest.raises(StoreUnavailableError, match="cannot be reached"),
    ):
        client.push("orders", row()["rows"])


# ---------------------------------------------------------------- what the server says of itself


def test_the_openapi_document_has_the_sources_and_answers_fit_it(shared: Pushing):
    document = httpx.get(f"{shared.url}/openapi.json").json()
    paths = sorted(p for p in document["paths"] if p.startswith("/push"))
    assert paths == ["/push", *(f"/push/{name}" for name in PUSHABLE)]
    for path in ("/push", "/push/orders", "/push/items"):
        operation = document["paths"][path]["post"]
        body = operation["requestBody"]["content"]["application/json"]
        check(body["example"], body, document)
        answer = shared.post(path, body["example"])
        good = operation["responses"][str(answer.status_code)]["content"]["application/json"]
        check(answer.json(), good, document)
        bad = shared.post(path, {})
        problem = operation["responses"][str(bad.status_code)]["content"]["application/json"]
        check(bad.json(), problem, document)
    told = shared.post("/push/unread?wait=online&wait_s=0", row())
    responses = document["paths"]["/push/unread"]["post"]["responses"]
    check(told.json(), responses["202"]["content"]["application/json"], document)
    assert told.json()["behind"] == ["lonely"]


def test_metrics_count_pushed_rows(shared: Pushing):
    before = metrics(shared.server)
    shared.post("/push/orders", {"rows": row()["rows"] * 3})
    shared.post("/push/order", row())

    def grown(name: str) -> float:
        after = metrics(shared.server)
        return after.get(name, 0.0) - before.get(name, 0.0)

    # What another worker counted is seen when it next hands over its counts.
    wait_until(lambda: grown('noskew_pushed_rows_total{source="orders"}') == 3, "rows are counted")
    for status in (202, 404):
        name = f'noskew_http_requests_total{{route="push",service="",status="{status}"}}'
        wait_until(lambda name=name: grown(name) == 1, "pushes are counted")
    assert grown('noskew_http_request_seconds_count{route="push"}') == 2

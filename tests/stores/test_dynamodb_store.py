from __future__ import annotations

import asyncio
import functools
import os
import socket
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from random import Random

import boto3
import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from hypothesis import given
from hypothesis import strategies as st

from noskew.errors import (
    ConfigError,
    CorruptDataError,
    LimitError,
    StoreConfigError,
    StoreError,
    StoreUnavailableError,
)
from noskew.stores.online import open_store
from noskew.stores.online.address import StoreAddress
from noskew.stores.online.dynamodb import DynamoDbStore, create_table, signature
from noskew.stores.online.dynamodb.backoff import Backoff
from noskew.stores.online.dynamodb.place import Place
from noskew.testing.online_store import OnlineStoreTests, row
from tests import dynamodb_server as servers
from tests.servers import free_port

pytestmark = pytest.mark.usefixtures("dynamodb_credentials")
#: What of these tests moto's server fails: it compares binary attributes, and measures items, by
#: their text in base64.
_NOT_BY_MOTO = (
    "scan_gives_the_keys",
    "namespaces_are_apart",
    "behaves_as_a_dict",
    "large_rows",
    "more_than_a_page",
    "up_to_the_longest",
    "bound_is_that_of",
)


@pytest.fixture(autouse=True)
def known_gaps(request: pytest.FixtureRequest) -> None:
    if servers.is_moto() and any(name in request.node.name for name in _NOT_BY_MOTO):
        pytest.skip("moto's server takes the base64 text of binary attributes for what they are")


def place_of(url: str) -> Place:
    return Place.of(StoreAddress.of(url))


def client_of(url: str):
    """boto3 on the server of an address: the way around the store."""
    place = place_of(url)
    return boto3.client("dynamodb", region_name=place.region, endpoint_url=place.endpoint)


def put_item(url: str, **attributes: dict[str, object]) -> None:
    client_of(url).put_item(TableName=place_of(url).table, Item=attributes)


def get_item(url: str, key: bytes) -> dict[str, dict[str, bytes]] | None:
    found = client_of(url).get_item(
        TableName=place_of(url).table, Key={"k": {"B": key}}, ConsistentRead=True
    )
    return found.get("Item")


@pytest.mark.conformance
class TestDynamoDbStore(OnlineStoreTests):
    can_be_stopped = True
    many = 1_500

    @pytest.fixture
    def store(self, dynamodb_url) -> Iterator[DynamoDbStore]:
        self.url = dynamodb_url
        with open_store(dynamodb_url) as store:
            yield store

    def raw_read(self, store, key):
        item = get_item(self.url, key)
        return item and item["v"]["B"] + item["r"]["B"]

    def raw_write(self, store, key, stored):
        put_item(self.url, k={"B": key}, v={"B": stored[:16]}, r={"B": stored[16:]})

    def opener(self, store):
        return functools.partial(open_store, self.url)

    @contextmanager
    def outage(self):
        with servers.dynamodb_server() as server:
            create_table(server.url("rows"))
            with open_store(server.url("rows") + "&timeout_s=2") as store:
                yield store, server.stop


@pytest.fixture
def faults(dynamodb_server: servers.DynamoDbServer) -> Iterator[servers.Faults]:
    with servers.faulty(dynamodb_server) as faults:
        yield faults


@pytest.fixture
def faulty_url(dynamodb_url: str, faults: servers.Faults) -> str:
    """The table of ``dynamodb_url`` through a server that may refuse requests."""
    place = place_of(dynamodb_url)
    return f"dynamodb://{place.table}?region={place.region}&endpoint={faults.endpoint}"


class TestThrottling:
    def test_what_is_throttled_or_left_out_is_repeated(self, faulty_url, faults):
        keys = [b"%d" % i for i in range(500)]
        with open_store(faulty_url + "&timeout_s=60") as store:
            faults.share = 0.3
            assert store.write(keys, [row(1, key) for key in keys]) == len(keys)
            asked = [*keys[::-1], b"absent", *keys[:7]]
            expected = [None if key == b"absent" else row(1, key) for key in asked]
            assert store.read(asked) == expected
            assert asyncio.run(store.read_async(asked)) == expected
            assert dict(store.scan()) == {key: row(1, key) for key in keys}
            assert store.delete(keys[:100]) == 100
        assert faults.refused > 100
        assert faults.unprocessed > 0

    @pytest.mark.parametrize("code", servers.Faults.CODES[:3])
    def test_a_table_that_stays_throttled_is_unavailable(self, faulty_url, faults, code):
        with open_store(faulty_url + "&timeout_s=0.3") as store:
            faults.always = (400, code, "slow down")
            for call in (
                lambda: store.read([b"k"]),
                lambda: asyncio.run(store.read_async([b"k"])),
                lambda: store.write([b"k"], [row(1)]),
                lambda: store.delete([b"k"]),
                lambda: list(store.scan()),
                store.ping,
            ):
                begun = time.monotonic()
                with pytest.raises(StoreUnavailableError, match="throttled"):
                    call()
                assert time.monotonic() - begun < 5
        assert len(faults.operations) > 12, "each was repeated"

    def test_keys_that_stay_unprocessed_are_unavailable(self, faulty_url, faults):
        with open_store(faulty_url + "&timeout_s=0.3") as store:
            real = faults.answer

            def answer(target, body):
                if "BatchGetItem" in target:
                    table = place_of(faulty_url).table
                    left = b'{"Keys":[{"k":{"B":"aw=="}}]}'
                    return 200, b'{"UnprocessedKeys":{"%b":%b}}' % (table.encode(), left)
                return real(target, body)

            faults.answer = answer
            with pytest.raises(StoreUnavailableError, match="throttled"):
                store.read([b"k"])

    def test_a_server_that_ails_is_asked_again(self, faulty_url, faults):
        with open_store(faulty_url + "&timeout_s=0.3") as store:
            faults.always = (500, "InternalServerError", "oh")
            with pytest.raises(StoreUnavailableError):
                store.read([b"k"])
            assert faults.operations.count("BatchGetItem") > 1

    def test_a_write_whose_answer_was_lost_is_repeated(self, faulty_url, faults):
        with open_store(faulty_url) as store:
            store.ping()  # so that there is a connection, which may have been idle too long
            faults.lost = 1
            store.write([b"k"], [row(1)])
            assert store.read([b"k"]) == [row(1)]
            store.ping()
            faults.lost = 2
            with pytest.raises(StoreUnavailableError, match="cannot be reached"):
                store.read([b"k"])
            assert store.read([b"k"]) == [row(1)]

    def test_a_failure_leaves_what_was_not_begun(self, faulty_url, faults):
        keys = [b"%d" % i for i in range(2_000)]
        with open_store(faulty_url) as store:
            before = len(faults.operations)
            faults.always = (400, "ValidationException", "no")
            with pytest.raises(StoreError, match="ValidationException: no"):
                store.write(keys, [row(1)] * len(keys))
            assert len(faults.operations) - before < 100

    def test_waits_grow_at_random_and_end_before_the_deadline(self):
        class Pauses(Random):
            def __init__(self) -> None:
                super().__init__(0)
                self.most: list[float] = []

            def uniform(self, a, b):
                assert a == 0, "full jitter"
                self.most.append(b)
                return 0.0

        pauses = Pauses()
        backoff = Backoff(60, pauses)
        assert all(backoff.wait() for _ in range(9))
        assert pauses.most == [0.025, 0.05, 0.1, 0.2, 0.4, 0.8, 1.0, 1.0, 1.0]
        begun = time.monotonic()
        assert not Backoff(0.001, Random(5)).wait()
        assert time.monotonic() - begun < 0.5


class TestReads:
    def test_a_request_asks_for_each_key_once(self, faulty_url, faults):
        keys = [b"%d" % i for i in range(150)]
        with open_store(faulty_url) as store:
            store.write(keys, [row(1, key) for key in keys])
            before = len(faults.operations)
            assert store.read(keys * 3) == [row(1, key) for key in keys] * 3
            assert faults.operations[before:] == ["BatchGetItem"] * 2

    def test_reads_are_consistent_unless_it_is_said_otherwise(self, faulty_url, faults):
        seen: list[bytes] = []
        real = faults.answer

        def answer(target, body):
            seen.append(body)
            return real(target, body)

        faults.answer = answer
        for option, wanted in (
            ("", b"true"),
            ("&consistent=true", b"true"),
            ("&consistent=false", b"false"),
        ):
            with open_store(faulty_url + option) as store:
                store.read([b"k"])
                assert b'"ConsistentRead":' + wanted in seen[-1]
                list(store.scan())
                assert b'"ConsistentRead":true' in seen[-1], "a scan always is"

    def test_more_than_a_page_is_scanned(self, dynamodb_url):
        keys = [b"%d" % i for i in range(40)]
        rows = [row(1, bytes(100_000))] * 40
        with open_store(dynamodb_url) as store:
            store.write(keys, rows)
            assert dict(store.scan()) == dict(zip(keys, rows, strict=True))
            assert len(list(store.scan(b"1"))) == 11
            assert list(store.scan(b"x")) == []

    def test_scans_run_beside_one_another(self, dynamodb_url):
        with open_store(dynamodb_url) as store:
            store.write([b"a", b"b"], [row(1), row(2)])
            pairs = list(zip(store.scan(), store.scan(b""), strict=True))
        assert sorted(a for a, _ in pairs) == [(b"a", row(1)), (b"b", row(2))]

    def test_a_read_does_not_wait_for_a_long_write(self, faulty_url, faults):
        with open_store(faulty_url + "&timeout_s=60") as store:
            store.write([b"k"], [row(1)])
            real = faults.answer
            begun, gate = threading.Semaphore(0), threading.Event()

            def answer(target, body):
                if "PutItem" in target:
                    begun.release()
                    assert gate.wait(60)
                return real(target, body)

            faults.answer = answer

            async def read_meanwhile() -> None:
                keys = [b"%d" % i for i in range(64)]
                writing = asyncio.create_task(asyncio.to_thread(store.write, keys, [row(1)] * 64))
                for _ in range(store._writers.count):  # all that write are at it
                    assert await asyncio.to_thread(begun.acquire, timeout=60)
                assert await store.read_async([b"k"]) == [row(1)]
                assert not writing.done()
                gate.set()
                assert await writing == 64

            asyncio.run(read_meanwhile())


class TestRows:
    def test_an_item_is_a_key_a_version_and_the_rest(self, dynamodb_url):
        with open_store(dynamodb_url) as store:
            store.write([b"k"], [row(258, b"rest")])
        version = bytes(14) + b"\x01\x02"
        assert get_item(dynamodb_url, b"k") == {
            "k": {"B": b"k"},
            "v": {"B": version},
            "r": {"B": b"rest"},
        }

    def test_the_bound_is_that_of_dynamodb(self, dynamodb_url):
        key = b"k" * 511
        with open_store(dynamodb_url) as store:
            longest = store.max_row_bytes
            assert longest == 409_600 - 511 - 3
            with pytest.raises(LimitError, match=f"row 1 has {longest + 1} bytes"):
                store.write([b"a", key], [row(1), row(1, bytes(longest - 15))])
            store.write([key], [row(1, bytes(longest - 16))])
        with pytest.raises(Exception, match="size"):
            put_item(dynamodb_url, k={"B": key}, v={"B": bytes(16)}, r={"B": bytes(longest - 15)})

    @pytest.mark.parametrize(
        "attributes",
        [
            {"v": {"S": "a text of its own"}, "r": {"B": b""}},
            {"v": {"B": bytes(16)}},
            {"other": {"N": "1"}},
            {"v": {"B": b"\xff" * 17}, "r": {"B": b""}},
            {"v": {"B": b""}, "r": {"B": b""}},
        ],
    )
    def test_foreign_items_are_noticed_and_stay(self, dynamodb_url, attributes):
        put_item(dynamodb_url, k={"B": b"k"}, **attributes)
        with open_store(dynamodb_url) as store:
            for call in (
                lambda: store.read([b"k"]),
                lambda: store.write([b"k"], [row(2**127)]),
                lambda: list(store.scan()),
            ):
                with pytest.raises(CorruptDataError, match="noskew"):
                    call()
        assert get_item(dynamodb_url, b"k") == {"k": {"B": b"k"}, **attributes}


class TestOpening:
    def test_an_absent_table_says_how_it_is_made(self, dynamodb_server):
        url = dynamodb_server.url("absent")
        with pytest.raises(StoreConfigError, match="does not exist; create it") as caught:
            open_store(url)
        command = str(caught.value).partition("capacity: ")[2]
        done = subprocess.run(
            ["sh", "-c", command.replace("python", sys.executable, 1)],
            check=False,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr
        open_store(url).close()

    def test_a_table_is_made_once(self, dynamodb_url):
        with open_store(dynamodb_url) as store:
            store.write([b"k"], [row(1)])
            create_table(dynamodb_url)
            assert store.read([b"k"]) == [row(1)]
        described = client_of(dynamodb_url).describe_table(TableName=place_of(dynamodb_url).table)
        assert described["Table"]["BillingModeSummary"]["BillingMode"] == "PAY_PER_REQUEST"

    @pytest.mark.parametrize("kind", ["S", "range"])
    def test_a_table_of_another_key_is_refused(self, dynamodb_server, kind):
        name = f"other-{uuid.uuid4().hex}"
        keys = (
            [("k", "HASH", "B"), ("s", "RANGE", "B")] if kind == "range" else [("k", "HASH", kind)]
        )
        client_of(dynamodb_server.url(name)).create_table(
            TableName=name,
            BillingMode="PAY_PER_REQUEST",
            KeySchema=[{"AttributeName": n, "KeyType": k} for n, k, _ in keys],
            AttributeDefinitions=[{"AttributeName": n, "AttributeType": t} for n, _, t in keys],
        )
        for open_it in (open_store, create_table):
            with pytest.raises(StoreConfigError, match="another key"):
                open_it(dynamodb_server.url(name))

    @pytest.mark.parametrize(
        ("url", "message"),
        [
            ("dynamodb://", "names a table"),
            ("dynamodb://a/b?region=eu-west-1", "names a table"),
            ("dynamodb://key:hunter2@table", "names a table"),
            ("dynamodb://table?region=EU West", "name of a region"),
            ("dynamodb://table?endpoint=localhost:8000", "http://host:port"),
            ("dynamodb://table?endpoint=http://me:hunter2@h:1", "http://host:port"),
            ("dynamodb://table?endpoint=http://h:1/hunter2", "http://host:port"),
            ("dynamodb://table?consistent=maybe", "'true' or 'false'"),
            ("dynamodb://table?timeout_s=0", "positive number of seconds"),
            ("dynamodb://table?regoin=eu-west-1", "Did you mean 'region'"),
        ],
    )
    def test_another_address_is_refused(self, url, message):
        for open_it in (open_store, create_table):
            with pytest.raises(ConfigError, match=message) as caught:
                open_it(url)
            assert "hunter2" not in str(caught.value)

    def test_a_server_that_is_not_there(self):
        url = f"dynamodb://rows?region=eu-west-1&endpoint=http://127.0.0.1:{free_port()}"
        with pytest.raises(StoreUnavailableError, match="cannot be reached"):
            open_store(url)

    def test_a_server_that_is_no_dynamodb(self, redis_server):
        endpoint = f"http://127.0.0.1:{redis_server.port}"
        with pytest.raises(StoreUnavailableError):
            open_store(f"dynamodb://rows?region=eu-west-1&endpoint={endpoint}&timeout_s=2")

    def test_a_server_that_is_silent(self):
        with socket.create_server(("127.0.0.1", 0)) as silent:
            endpoint = f"http://127.0.0.1:{silent.getsockname()[1]}"
            with pytest.raises(StoreUnavailableError, match=r"within 0\.2 s"):
                open_store(f"dynamodb://rows?region=eu-west-1&endpoint={endpoint}&timeout_s=0.2")

    def test_no_region_and_no_credentials(self, monkeypatch, dynamodb_server):
        with pytest.raises(StoreConfigError, match="no AWS region"):
            open_store("dynamodb://rows")
        monkeypatch.delenv("AWS_ACCESS_KEY_ID")
        monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
        with pytest.raises(StoreConfigError, match="no AWS credentials"):
            open_store(dynamodb_server.url("rows"))

    @pytest.mark.parametrize(
        ("code", "is_shown"),
        [
            ("UnrecognizedClientException", False),
            ("InvalidSignatureException", False),
            ("ExpiredTokenException", False),
            ("AccessDeniedException", True),
        ],
    )
    def test_a_user_who_is_refused(self, faulty_url, faults, code, is_shown):
        with open_store(faulty_url) as store:
            faults.always = (400, code, "User: arn:aws:iam::1:user/x, token hunter2")
            with pytest.raises(StoreConfigError) as caught:
                store.read([b"k"])
            assert ("hunter2" in str(caught.value)) == is_shown
            assert code in str(caught.value) or is_shown

    def test_its_texts_hold_no_secret(self, dynamodb_url):
        with open_store(dynamodb_url) as store:
            assert "not-a-secret" not in repr(vars(store)) + repr(place_of(dynamodb_url))


class TestForks:
    def test_a_child_uses_connections_and_threads_of_its_own(self, dynamodb_url):
        keys = [b"%d" % i for i in range(300)]
        with open_store(dynamodb_url) as store:
            store.write(keys, [row(1, key) for key in keys])
            store.read(keys)
            child = os.fork()
            if child == 0:
                right = store.read(keys) == [row(1, key) for key in keys]
                right = right and store.write(keys, [row(2, key) for key in keys]) == 300
                os._exit(0 if right else 1)
            assert store.read(keys[:1]) in ([row(1, b"0")], [row(2, b"0")])
            assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
            assert store.read(keys) == [row(2, key) for key in keys]


@given(
    body=st.binary(max_size=100),
    host=st.sampled_from(["dynamodb.eu-west-1.amazonaws.com", "127.0.0.1:8000"]),
    token=st.sampled_from([None, "token/+=="]),
    operation=st.sampled_from(["PutItem", "BatchGetItem"]),
    secret=st.text("abc/+", min_size=1),
)
def test_requests_are_signed_as_by_botocore(body, host, token, operation, secret):
    keys = Credentials("AKID", secret, token)
    now = time.time_ns() // 1_000  # noqa: TID251 - botocore signs for now
    ours = signature.Signer(host, "eu-west-1").headers(operation, body, keys, now)
    request = AWSRequest(
        "POST",
        f"https://{host}/",
        headers={name: ours[name] for name in ("content-type", "x-amz-target")},
        data=body,
    )
    SigV4Auth(keys, "dynamodb", "eu-west-1").add_auth(request)
    theirs = {name.lower(): value for name, value in request.headers.items()}
    if theirs["x-amz-date"] == ours["x-amz-date"]:  # else a second began between the two
        assert theirs["authorization"] == ours["authorization"]
        assert theirs.get("x-amz-security-token") == token

"""Reads in this process: 50 features of 1, 100 and 1,000 entities, from LMDB and from Redis.

The limit reads rows that hold 50 float64 and nothing else, with the library alone: one
``getmulti`` (or ``MGET``) and one ``frombuffer``. ``….dict`` gives Python objects, on both sides:
columns as lists; the others give NumPy arrays. One row is always read to a dict, as a program
would that scores one request.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import hiredis
import lmdb
import numpy as np
import pyarrow as pa
import redis

import noskew as ns
from bench import data
from bench.data import ENTITIES, KEY, TIME, Shape
from bench.result import Result
from bench.servers import redis_server
from bench.timing import Call, median, spread, take_turns

FEATURES = 50
SHAPE = Shape(rows=ENTITIES, features=FEATURES)
SIZES = (1, 100, 1_000)
_NAMES = data.names(FEATURES)
_WIDTH = 8 * FEATURES


def values() -> np.ndarray[Any, np.dtype[np.float64]]:
    """The one event of each entity: float64, shape (entities, features)."""
    table = pa.concat_tables(
        pa.parquet.read_table(p) for p in data.events_files(ENTITIES, features=FEATURES)
    ).sort_by(KEY)
    return np.column_stack([table.column(n).to_numpy() for n in _NAMES])


def batches(size: int) -> list[list[int]]:
    """Entities to ask for: enough different ones that none stays hot."""
    rng = np.random.default_rng(7)
    count = max(64, 20_000 // size)
    return [rng.integers(0, ENTITIES, size).tolist() for _ in range(count)]


def run(stores: list[str], *, runs: int, seconds: float) -> Iterator[Result]:
    """Measure each store in ``stores`` at each size."""
    with ExitStack() as stack:
        for name in stores:
            yield from _STORES[name](stack, runs, seconds)


def _lmdb(stack: ExitStack, runs: int, seconds: float) -> Iterator[Result]:
    store = stack.enter_context(SHAPE.open(online=f"lmdb:///{data.fresh('online')}"))
    store.materialize(full=True)
    folder = data.fresh("online-bare")
    folder.mkdir(parents=True)
    bare = stack.enter_context(lmdb.open(str(folder), map_size=1 << 30, readahead=False))
    with bare.begin(write=True) as transaction:
        transaction.cursor().putmulti(
            [(i.to_bytes(8, "big"), row.tobytes()) for i, row in enumerate(values())]
        )

    def read(ids: list[int]) -> list[bytes]:
        with bare.begin() as transaction:
            if len(ids) == 1:
                return [transaction.get(ids[0].to_bytes(8, "big"), b"")]
            pairs = transaction.cursor().getmulti([i.to_bytes(8, "big") for i in ids])
        return [row for _, row in pairs]

    yield from _measure("lmdb", store, {"limit": read}, runs, seconds)


def _redis(stack: ExitStack, runs: int, seconds: float) -> Iterator[Result]:
    port, bare_port = stack.enter_context(redis_server()), stack.enter_context(redis_server())
    store = stack.enter_context(SHAPE.open(online=f"redis://127.0.0.1:{port}/0"))
    store.materialize(full=True)
    client = redis.Redis(port=bare_port)
    rows = values()
    for at in range(0, ENTITIES, 10_000):
        client.mset({b"e:%d" % i: rows[i].tobytes() for i in range(at, at + 10_000)})

    def read(ids: list[int]) -> list[bytes]:
        if len(ids) == 1:
            return [client.get(b"e:%d" % ids[0])]  # type: ignore[list-item]
        return client.mget([b"e:%d" % i for i in ids])  # type: ignore[return-value]

    connection = socket.create_connection(("127.0.0.1", bare_port))
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    reader = hiredis.Reader()

    def read_raw(ids: list[int]) -> list[bytes]:
        """Without redis-py: packed by hiredis, sent by the socket."""
        command: Any = (b"MGET", *[b"e:%d" % i for i in ids])
        connection.sendall(hiredis.pack_command(command))
        while (reply := reader.gets()) is False:
            reader.feed(connection.recv(1 << 16))
        return reply  # type: ignore[no-any-return]

    yield from _measure("redis", store, {"limit": read, "raw socket": read_raw}, runs, seconds)


_STORES = {"lmdb": _lmdb, "redis": _redis}


def _measure(
    name: str,
    store: ns.FeatureStore,
    reads: dict[str, Callable[[list[int]], list[bytes]]],
    runs: int,
    seconds: float,
) -> Iterator[Result]:
    reader = store.reader("latest")
    check(reader, reads["limit"])
    for size in SIZES:
        for form in ("dict",) if size == 1 else ("numpy", "dict"):
            sides: dict[str, Call] = {"noskew": _ours(reader, form)}
            sides |= {side: _bare(read, form) for side, read in reads.items()}
            took = take_turns(sides, batches(size), runs=runs, seconds=seconds)
            mid = {side: median(times) for side, times in took.items()}
            yield Result(
                f"online.{name}.{size}x{FEATURES}"
                + (".dict" if form == "dict" and size > 1 else ""),
                mid.pop("noskew"),
                "s",
                mid.pop("limit"),
                f"{size} of {ENTITIES:,} entities at random, one view of {FEATURES} float64, to "
                f"{form}; {runs} runs of {seconds} s",
                mid,
                {side: spread(times) for side, times in took.items()},
            )


def _ours(reader: Any, form: str) -> Call:
    if form == "dict":
        return lambda ids: reader.get({KEY: ids}).to_dict()
    return lambda ids: reader.get({KEY: ids}).to_numpy()


def _bare(read: Callable[[list[int]], list[bytes]], form: str) -> Call:
    if form == "dict":
        return lambda ids: dict(zip(_NAMES, _block(read(ids), len(ids)).T.tolist(), strict=True))
    return lambda ids: dict(zip(_NAMES, _block(read(ids), len(ids)).T, strict=True))


def _block(rows: list[bytes], n: int) -> np.ndarray[Any, np.dtype[np.float64]]:
    return np.frombuffer(b"".join(rows), np.float64).reshape(n, FEATURES)


def check(reader: Any, read: Callable[[list[int]], list[bytes]]) -> None:
    """Raise unless all ways to read give the same values."""
    ids = batches(1_000)[0]
    wanted = dict(zip(_NAMES, values()[ids].T.tolist(), strict=True))
    answer = reader.get({KEY: ids})
    columns = answer.to_dict()
    assert columns.pop(KEY) == ids
    assert columns == wanted
    assert {n: v.tolist() for n, v in answer.to_numpy().items()} == wanted
    assert _bare(read, "dict")(ids) == wanted
    assert TIME not in columns

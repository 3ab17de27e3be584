"""What is left after a full disk, damaged files and overtaken commits."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from noskew.errors import (
    ConfigError,
    ConflictError,
    CorruptDataError,
    StoreFullError,
    StoreUnavailableError,
)
from noskew.stores.offline import SEQUENCE, Commit, Filter, IcebergStore, TableSpec
from noskew.stores.offline import append as append_module
from noskew.stores.offline.commit import overtaken as overtaken_error
from noskew.testing.offline_store import bits, facts, listed, simple

HERE = Path(__file__).parent


def open_store(home: Path) -> IcebergStore:
    return IcebergStore(f"sqlite:///{home}/catalog.db", str(home))


def table_files(home: Path) -> set[Path]:
    return {path for path in (home / "noskew").rglob("*") if path.is_file()}


def test_files_of_lesser_sequences_are_not_opened(tmp_path: Path) -> None:
    with open_store(tmp_path) as store:
        store.create(simple())
        store.append("facts", [facts([(k, k, float(k)) for k in range(8)])], token="old")
        old = store.files("facts")
        store.append("facts", [facts([(1, 9, 9.0), (5, 9, 9.0)])], token="new")
        for path in old:
            Path(path).unlink()
        later = Filter(sequence_from=8)
        assert sorted(listed(store.read("facts", ["k"], where=later).column("k"))) == [1, 5]
        for bucket in range(simple().buckets):
            list(store.scan("facts", ["k"], bucket=bucket, where=later))
        with pytest.raises(CorruptDataError):
            store.read("facts", ["k"], where=Filter(sequence_from=7))


def test_compact_removes_what_nothing_refers_to(tmp_path: Path) -> None:
    with open_store(tmp_path) as store:
        store.create(simple())
        rows = [(k, k, float(k)) for k in range(8)]
        store.append("facts", [facts(rows)], token="whole")
        kept = table_files(tmp_path)
        store.append("facts", [facts([(1, 1, 1.0)])], token="x")
        directory = next((tmp_path / "noskew").iterdir())
        left = [directory / "data" / "gone" / "0.parquet", directory / "metadata" / "gone.avro"]
        for path in left:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(b"left behind")
        before = bits(store.read("facts", ["k", "v"]))
        first = store.info("facts").snapshot
        assert store.compact("facts") == 2  # the bucket of key 1 has two files
        assert not any(path.exists() for path in left)
        assert {p for p in kept if p.suffix == ".parquet"} <= table_files(tmp_path)
        assert bits(store.read("facts", ["k", "v"], snapshot=first)) == before
        # With nothing to rewrite, files left behind go as well.
        left[0].write_bytes(b"left behind")
        assert store.compact("facts") == 0
        assert not left[0].exists()


def test_compact_takes_files_of_an_append_under_way_for_left_behind(tmp_path: Path) -> None:
    """So the append must write them again rather than commit lost files."""
    with open_store(tmp_path) as store, open_store(tmp_path) as other:
        store.create(simple())
        for token in ("a", "b"):
            store.append("facts", [facts([(1, 1, 1.0)])], token=token)
        written: list[set[Path]] = []

        def overtaken(rows: int) -> None:
            before = table_files(tmp_path)
            other.compact("facts")
            written.append(before - table_files(tmp_path))

        # Progress is called when files are written and the commit is still to come.
        store.append("facts", [facts([(2, 2, 2.0)])], token="c", progress=overtaken)
        assert len([path for path in written[0] if path.suffix == ".parquet"]) == 1
        assert sorted(listed(store.read("facts", ["k"]).column("k"))) == [1, 1, 2]
        assert {*map(Path, store.files("facts"))} <= table_files(tmp_path)


def test_an_append_of_many_rows_gets_in_among_many_small_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Written again for each of them, it would never be ready before the next."""
    tried: list[list[str]] = []
    commit = append_module.commit
    with open_store(tmp_path) as store, open_store(tmp_path) as other:
        store.create(simple())

        def overtaken(*args: Any, added: list[Any], **others: Any) -> int:
            tried.append([file.file_path for file in added])
            if len(tried) <= 12:
                monkeypatch.setattr(append_module, "commit", commit)
                other.append("facts", [facts([(2, 2, 2.0)])])
                monkeypatch.setattr(append_module, "commit", overtaken)
            return commit(*args, added=added, **others)

        monkeypatch.setattr(append_module, "commit", overtaken)
        store.append("facts", [facts([(k, k, 1.0) for k in range(100)])])
        assert len(tried) == 13
        assert len(set(map(tuple, tried))) == 2, "written once again, with room for the others"
        read = store.read("facts", ["v", SEQUENCE]).to_pylist()
        order = [row["v"] for row in sorted(read, key=lambda row: row[SEQUENCE])]
        assert order == [2.0] * 12 + [1.0] * 100


def test_an_append_that_is_always_overtaken_conflicts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with open_store(tmp_path) as store:
        store.create(simple())

        def overtaken(state: Any, *_: Any, **__: Any) -> int:
            raise overtaken_error(state.spec.name)

        monkeypatch.setattr(append_module, "commit", overtaken)
        with pytest.raises(ConflictError, match="repeat the call") as raised:
            store.append("facts", [facts([(k, k, 1.0) for k in range(100)])])
        assert raised.value.retryable
        assert not [path for path in table_files(tmp_path) if path.suffix == ".parquet"]


def test_files_of_the_same_token_are_removed_by_the_one_that_commits(tmp_path: Path) -> None:
    """Not by one that sees them, and then finds that they were committed."""
    with open_store(tmp_path) as store, open_store(tmp_path) as other:
        store.create(simple())
        written, listed_by_other, committed = (threading.Event() for _ in range(3))

        def first(rows: int) -> None:
            written.set()
            assert listed_by_other.wait(60)

        def second(rows: int) -> None:
            listed_by_other.set()
            assert committed.wait(60)

        def append_second() -> None:
            assert written.wait(60)
            batch = facts([(1, 1, 1.0)])
            commits.append(other.append("facts", [batch], token="same", progress=second))

        commits: list[Commit] = []
        thread = threading.Thread(target=append_second)
        thread.start()
        store.append("facts", [facts([(1, 1, 1.0)])], token="same", progress=first)
        committed.set()
        thread.join(60)
        assert [commit.repeated for commit in commits] == [True]
        assert listed(store.read("facts", ["v"]).column("v")) == [1.0]
        parquet = {str(path) for path in table_files(tmp_path) if path.suffix == ".parquet"}
        assert parquet == set(store.files("facts"))


def test_a_table_made_anew_is_not_appended_to(tmp_path: Path) -> None:
    with open_store(tmp_path) as store, open_store(tmp_path) as other:
        store.create(simple())

        def replaced(rows: int) -> None:
            other.drop("facts")
            other.create(simple())

        with pytest.raises(ConflictError):
            store.append("facts", [facts([(1, 1, 1.0)])], progress=replaced)
        assert store.info("facts").rows == 0


def test_many_buckets_are_compacted(tmp_path: Path) -> None:
    spec = TableSpec("t", simple().schema, ("k",), 300)
    with open_store(tmp_path) as store:
        store.create(spec)
        for token in ("a", "b"):
            rows = [(k, 1, float(k)) for k in range(300)]
            store.append("t", [facts(rows, buckets=300)], token=token)
        assert store.compact("t") == 600
        assert store.info("t").files == 300
        assert sorted(listed(store.read("t", ["k"]).column("k"))) == sorted([*range(300)] * 2)


def fill(path: Path) -> None:
    """Write until the disk is full, which raises OSError."""
    with path.open("wb", buffering=0) as file:
        while True:
            file.write(bytes(4096))


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    if os.geteuid() != 0:
        pytest.skip("only root can mount a small file system")
    place = tmp_path / "small"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", str(place)]
    if subprocess.run(mount, check=False, capture_output=True).returncode != 0:
        pytest.skip("mounting is not allowed here")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


def test_a_full_disk_leaves_the_table_as_it_was(small_disk: Path) -> None:
    with open_store(small_disk) as store:
        store.create(simple())
        store.append("facts", [facts([(k, k, float(k)) for k in range(100)])], token="small")
        before = bits(store.read("facts", ["k", "v", SEQUENCE]))
        state = 1
        rows = []
        for number in range(200_000):  # incompressible enough to overflow 3 MiB
            state = (6_364_136_223_846_793_005 * state + 1) % 2**64
            rows.append((number, state >> 12, float(state)))
        big = facts(rows)
        with pytest.raises(StoreFullError) as raised:
            store.append("facts", [big], token="big")
        assert raised.value.retryable
        assert store.committed("facts", "big") is None
        with open_store(small_disk) as again:
            assert bits(again.read("facts", ["k", "v", SEQUENCE])) == before
        parquet = [path for path in table_files(small_disk) if path.suffix == ".parquet"]
        assert len(parquet) == len(store.files("facts")), "what did not fit is removed"
        store.append("facts", [facts([(1, 1, 1.0)])], token="after")
        assert store.info("facts").rows == 101
        # So full that not even metadata can be written.
        filler = small_disk / "filler"
        with pytest.raises(OSError, match="No space left"):
            fill(filler)
        with pytest.raises(StoreFullError):
            store.append("facts", [facts([(2, 2, 2.0)])], token="last")
        assert store.info("facts").rows == 101
        filler.unlink()
        assert not store.append("facts", [facts([(2, 2, 2.0)])], token="last").repeated
        assert store.info("facts").rows == 102


@pytest.mark.parametrize("damage", ["truncated", "empty", "flipped", "gone"])
def test_a_damaged_file_is_named(tmp_path: Path, damage: str) -> None:
    with open_store(tmp_path) as store:
        store.create(simple())
        rows = [(k, k, float(k * k)) for k in range(0, 4_000, 4)]
        store.append("facts", [facts(rows)], token="a")
        (path,) = map(Path, store.files("facts"))
        content = path.read_bytes()
        if damage == "truncated":
            path.write_bytes(content[: len(content) // 2])
        elif damage == "empty":
            path.write_bytes(b"")
        elif damage == "flipped":
            middle = len(content) // 2
            path.write_bytes(
                content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]
            )
        else:
            path.unlink()
        with pytest.raises(CorruptDataError, match=path.name):
            store.read("facts", ["k", "v", SEQUENCE])


@pytest.mark.parametrize("kind", ["-m0.avro", "snap-", ".metadata.json"])
def test_damaged_metadata_is_named(tmp_path: Path, kind: str) -> None:
    with open_store(tmp_path) as store:
        store.create(simple())
        store.append("facts", [facts([(1, 1, 1.0)])], token="a")
    damaged = sorted(path for path in table_files(tmp_path) if kind in path.name)[-1]
    damaged.write_bytes(damaged.read_bytes()[:40])
    with open_store(tmp_path) as store, pytest.raises(CorruptDataError, match=damaged.name):
        store.read("facts", ["k"])


def test_memory_is_bounded_by_the_spool_and_the_bucket(tmp_path: Path) -> None:
    """700 MiB of rows go through; the spool's share and two buckets at work stay below 400."""
    command = [sys.executable, str(HERE / "growing_append.py"), str(tmp_path), "100"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) < 400


def test_an_unreachable_catalog(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("not a directory")
    with (
        IcebergStore(f"sqlite:///{blocked}/c.db", str(tmp_path)) as store,
        pytest.raises(StoreUnavailableError) as raised,
    ):
        store.tables()
    assert raised.value.retryable
    address = "postgresql://someone:very-secret@127.0.0.1:1/none"
    with IcebergStore(address, str(tmp_path)) as store:
        with pytest.raises(StoreUnavailableError) as raised:
            store.tables()
        assert "very-secret" not in str(raised.value)


@pytest.mark.parametrize("uri", ["", "nonsense", "sqlite://", "sqlite:///:memory:"])
def test_a_catalog_address_without_sense(tmp_path: Path, uri: str) -> None:
    with pytest.raises(ConfigError):
        IcebergStore(uri, str(tmp_path))


def test_small_key_filters_and_times_skip_files(tmp_path: Path) -> None:
    """A file outside the bounds is not opened: damage it, and the read still works."""
    with open_store(tmp_path) as store:
        store.create(simple())
        store.append("facts", [facts([(4, 10, 1.0)])], token="early")
        store.append("facts", [facts([(4, 90, 2.0)])], token="late")
        early = Path(store.files("facts")[0])
        early.write_bytes(b"damaged")
        read = store.read("facts", ["v"], where=Filter(event_from=50))
        assert listed(read.column("v")) == [2.0]
        with pytest.raises(CorruptDataError):
            store.read("facts", ["v"], where=Filter(event_from=10))


def test_importing_the_package_loads_no_backend() -> None:
    script = (
        "import sys, noskew.stores.offline, noskew.stores.sources;"
        "sys.exit(', '.join(m for m in ('pyiceberg', 'pyarrow', 'sqlalchemy', 'duckdb', 'psycopg')"
        " if m in sys.modules) or None)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")

from __future__ import annotations

import functools
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random

import pytest

from noskew.errors import (
    CorruptDataError,
    StoreConfigError,
    StoreFullError,
    StoreUnavailableError,
)
from noskew.stores.boot import boot_id
from noskew.stores.online import open_store
from noskew.stores.online.lmdb import LmdbStore
from noskew.testing.online_store import OnlineStoreTests, batch_of, row, stored_version
from tests.stores import lmdb_writer

SMALL_MAP = 1 << 18


@pytest.mark.conformance
class TestLmdbStore(OnlineStoreTests):
    @pytest.fixture
    def store(self, tmp_path: Path) -> Iterator[LmdbStore]:
        with LmdbStore(tmp_path / "lmdb") as store:
            yield store

    def raw_read(self, store, key):
        # LMDB allows one environment for each process, so this one is borrowed.
        with store._environment.handle.begin() as transaction:
            return transaction.get(key)

    def raw_write(self, store, key, stored):
        with store._environment.handle.begin(write=True) as transaction:
            transaction.put(key, stored)

    def opener(self, store):
        return functools.partial(LmdbStore, store._environment.path)


class TestLmdbStoreThatGrows(TestLmdbStore):
    """The same from the smallest map, so that nearly every test has to grow it."""

    @pytest.fixture
    def store(self, tmp_path: Path) -> Iterator[LmdbStore]:
        with LmdbStore(tmp_path / "lmdb", map_size=SMALL_MAP) as store:
            yield store

    def opener(self, store):
        return functools.partial(LmdbStore, store._environment.path, map_size=SMALL_MAP)


def run_python(code: str, *arguments: object) -> str:
    """Run code in another process; its output."""
    done = subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        cwd=Path(__file__).parents[2],
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


WRITE_ROWS = """
import sys
from noskew.stores.online.lmdb import LmdbStore
from noskew.testing.online_store import row
with LmdbStore(sys.argv[1], map_size=1 << 18) as store:
    for i in range(int(sys.argv[2])):
        store.write([b"%d-%d" % (i, j) for j in range(100)], [row(1, bytes(1000))] * 100)
"""


class TestMap:
    def test_it_grows_by_itself(self, tmp_path):
        with LmdbStore(tmp_path, map_size=SMALL_MAP) as store:
            store.write([b"%d" % i for i in range(5_000)], [row(1, bytes(1_000))] * 5_000)
            assert store.read([b"4999"]) == [row(1, bytes(1_000))]
            assert store._environment.handle.info()["map_size"] > 5_000_000

    @pytest.mark.parametrize("readonly", [False, True])
    def test_growth_by_another_process_is_followed(self, tmp_path, readonly):
        LmdbStore(tmp_path, map_size=SMALL_MAP).close()
        with LmdbStore(tmp_path, map_size=SMALL_MAP, readonly=readonly) as store:
            assert store.read([b"0-0"]) == [None]
            run_python(WRITE_ROWS, tmp_path, 50)
            assert store.read([b"0-0", b"49-99"]) == [row(1, bytes(1_000))] * 2
            assert len(list(store.scan())) == 5_000

    def test_a_writer_follows_growth_by_another_process(self, tmp_path):
        with LmdbStore(tmp_path, map_size=SMALL_MAP) as store:
            run_python(WRITE_ROWS, tmp_path, 50)
            assert store.write([b"k"], [row(1)]) == 1
            run_python(WRITE_ROWS, tmp_path, 100)
            assert store.delete([b"99-99"]) == 1
            assert len(list(store.scan())) == 10_000


class TestOneProcess:
    def test_a_path_may_be_opened_twice(self, tmp_path):
        first = LmdbStore(tmp_path)
        second = LmdbStore(tmp_path / "x" / "..")
        first.write([b"k"], [row(1)])
        assert second.read([b"k"]) == [row(1)]
        first.close()
        assert second.write([b"k"], [row(2)]) == 1
        second.close()
        with LmdbStore(tmp_path) as again:
            assert again.read([b"k"]) == [row(2)]

    @pytest.mark.parametrize("reader_first", [True, False])
    def test_a_reader_and_a_writer_share_a_path(self, tmp_path, reader_first):
        LmdbStore(tmp_path).close()
        order = [True, False] if reader_first else [False, True]
        stores = {readonly: LmdbStore(tmp_path, readonly=readonly) for readonly in order}
        stores[False].write([b"k"], [row(1)])
        assert stores[True].read([b"k"]) == [row(1)]
        with pytest.raises(StoreConfigError, match="readonly"):
            stores[True].write([b"k"], [row(2)])
        for store in stores.values():
            store.close()

    def test_a_directory_made_again_is_a_new_store(self, tmp_path):
        old = LmdbStore(tmp_path / "lmdb")
        old.write([b"k"], [row(1)])
        shutil.rmtree(tmp_path / "lmdb")
        with pytest.raises(StoreUnavailableError, match="removed"):
            old.ping()
        with LmdbStore(tmp_path / "lmdb") as new:
            assert new.read([b"k"]) == [None]
            assert new.write([b"k"], [row(1)]) == 1
            new.ping()
        old.close()

    def test_a_forked_child_may_go_on(self, tmp_path):
        with LmdbStore(tmp_path) as store:
            store.write([b"k"], [row(1)])
            store.read([b"k"])
            with forked() as child:
                if child:
                    assert store.read([b"k"]) == [row(1)]
                    # A slot of its own: the parent's would be given up under its feet.
                    assert f"{os.getpid()} " in store._environment.handle.readers()
                    assert store.write([b"k", b"child"], [row(2), row(2)]) == 2
            assert store.read([b"k", b"child"]) == [row(2), row(2)]
            assert store.write([b"k"], [row(3)]) == 1


@contextmanager
def forked() -> Iterator[bool]:
    """Run the block in a forked child as well (there True is given); both must succeed."""
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            yield True
            code = 0
        finally:
            os._exit(code)
    yield False
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0


class TestReadonly:
    def test_it_reads_and_refuses_to_write(self, tmp_path):
        with LmdbStore(tmp_path) as store:
            store.write([b"k"], [row(1)])
        with LmdbStore(tmp_path, readonly=True) as store:
            assert store.read([b"k"]) == [row(1)]
            assert list(store.scan()) == [(b"k", row(1))]
            store.ping()
            store.sync()
            with pytest.raises(StoreConfigError, match="readonly=True"):
                store.write([b"k"], [row(2)])
            with pytest.raises(StoreConfigError, match="readonly=True"):
                store.delete([b"k"])

    def test_it_does_not_make_a_store(self, tmp_path):
        with pytest.raises(StoreUnavailableError, match="does not exist"):
            LmdbStore(tmp_path / "absent", readonly=True)
        assert not (tmp_path / "absent").exists()

    def test_it_sees_what_another_process_writes(self, tmp_path):
        LmdbStore(tmp_path).close()
        with LmdbStore(tmp_path, readonly=True) as store:
            run_python(WRITE_ROWS, tmp_path, 1)
            assert store.read([b"0-99"]) == [row(1, bytes(1_000))]


class TestDamage:
    @pytest.fixture
    def directory(self, tmp_path):
        with LmdbStore(tmp_path) as store:
            store.write([b"%d" % i for i in range(2_000)], [row(1, bytes(500))] * 2_000)
        return tmp_path

    @pytest.mark.parametrize("readonly", [False, True])
    @pytest.mark.parametrize("keep", [0.9, 0.5, 0.05])
    def test_a_file_that_was_cut_short_is_refused(self, directory, keep, readonly):
        data = directory / "data.mdb"
        os.truncate(data, int(data.stat().st_size * keep))
        with pytest.raises(CorruptDataError, match="cut short"):
            LmdbStore(directory, readonly=readonly)

    @pytest.mark.parametrize("size", [1, 100, 4_096, 5_000])
    def test_half_a_header_is_refused(self, directory, size):
        os.truncate(directory / "data.mdb", size)
        with pytest.raises(CorruptDataError, match="materialize again"):
            LmdbStore(directory)

    def test_a_foreign_file_is_refused(self, directory):
        (directory / "data.mdb").write_bytes(b"SQLite format 3\x00" * 1_000)
        with pytest.raises(CorruptDataError, match="not a readable LMDB file"):
            LmdbStore(directory)

    def test_it_can_be_repaired_as_the_message_says(self, directory):
        os.truncate(directory / "data.mdb", 10_000)
        with pytest.raises(CorruptDataError, match="remove the directory"):
            LmdbStore(directory)
        shutil.rmtree(directory)
        with LmdbStore(directory) as store:
            assert store.write([b"k"], [row(1)]) == 1

    def test_a_path_that_is_a_file_is_refused(self, tmp_path):
        (tmp_path / "file").write_text("x")
        with pytest.raises(StoreUnavailableError, match="file"):
            LmdbStore(tmp_path / "file")

    def test_a_file_that_lacks_only_unused_pages_is_accepted(self, tmp_path):
        # LMDB need not write pages at the end that were freed before they were used.
        with LmdbStore(tmp_path) as store:
            store.write([b"large"], [row(1, bytes(1_000_000))])
            store.delete([b"large"])
            for version in range(1, 9):
                store.write([b"k"], [row(version)])
        data = tmp_path / "data.mdb"
        os.truncate(data, data.stat().st_size // 2)
        with LmdbStore(tmp_path) as store:
            assert store.read([b"k"]) == [row(8)]
            assert store.write([b"large"], [row(1, bytes(1_000_000))]) == 1
            assert store.read([b"large"]) == [row(1, bytes(1_000_000))]


class TestUnsynced:
    """A crash of the machine, told from the kill of a process by the identity of the boot."""

    def test_the_mark_lasts_from_the_first_write_to_the_next_sync(self, tmp_path):
        mark = tmp_path / "unsynced"
        with LmdbStore(tmp_path) as store:
            assert not mark.exists()
            store.write([b"k"], [row(1)])
            assert mark.read_text() == boot_id()
            store.sync()
            assert not mark.exists()
            store.write([b"k"], [row(1)])
            assert not mark.exists(), "a replay wrote nothing"
            store.delete([b"k"])
            assert mark.exists()
        assert not mark.exists(), "close syncs"

    def test_it_does_not_trouble_a_process_that_was_killed(self, tmp_path):
        with LmdbStore(tmp_path) as store:
            store.write([b"k"], [row(1)])
            shutil.copytree(tmp_path, tmp_path / "copy", ignore=lambda *_: ["copy"])
        with LmdbStore(tmp_path / "copy") as store:
            assert store.read([b"k"]) == [row(1)]

    @pytest.mark.parametrize("readonly", [False, True])
    def test_a_store_that_was_not_synced_before_a_crash_is_refused(self, tmp_path, readonly):
        with LmdbStore(tmp_path) as store:
            store.write([b"k"], [row(1)])
        (tmp_path / "unsynced").write_text("another boot")
        with pytest.raises(CorruptDataError, match="unsynced rows when the machine last stopped"):
            LmdbStore(tmp_path, readonly=readonly)
        (tmp_path / "unsynced").unlink()
        with LmdbStore(tmp_path, readonly=readonly) as store:
            assert store.read([b"k"]) == [row(1)]

    def test_a_mark_cut_short_announced_no_commit(self, tmp_path):
        LmdbStore(tmp_path).close()
        (tmp_path / "unsynced").write_text("")
        LmdbStore(tmp_path).close()


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 2 MB."""
    place = tmp_path / "disk"
    place.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=2m", "noskew-test", str(place)],
        capture_output=True,
        text=True,
        check=False,
    )
    if mounted.returncode != 0:
        pytest.skip(f"only root may mount a small file system: {mounted.stderr.strip()}")
    try:
        yield place
    finally:
        subprocess.run(["umount", "--lazy", str(place)], check=True)


def test_a_full_disk_loses_nothing(small_disk):
    (small_disk / "ballast").write_bytes(bytes(1 << 20))
    with LmdbStore(small_disk / "lmdb") as store:
        written: list[bytes] = []

        def fill() -> None:
            for i in range(1_000):
                store.write([b"%d" % i], [row(1, bytes(20_000))])
                written.append(b"%d" % i)

        with pytest.raises(StoreFullError, match="no space left"):
            fill()
        assert len(written) > 10
        assert store.read(written) == [row(1, bytes(20_000))] * len(written)
        with pytest.raises(StoreFullError):
            store.write([b"again"], [row(1, bytes(20_000))])
        (small_disk / "ballast").unlink()
        assert store.write([b"again"], [row(1, bytes(20_000))]) == 1
        assert len(list(store.scan())) == len(written) + 1


def test_a_full_disk_ends_a_load(small_disk):
    keys = [b"%05d" % i for i in range(20_000)]
    rows = [row(2, bytes(1_000))] * len(keys)
    (small_disk / "ballast").write_bytes(bytes(1 << 20))
    with LmdbStore(small_disk / "lmdb") as store:
        store.write(keys[:1], [row(1)])
        with pytest.raises(StoreFullError, match="no space left"):
            store.load(batch_of(keys[at::10], rows[at::10]) for at in range(10))
        assert stored_version(store.read(keys[:1])[0]) in (1, 2)
        (small_disk / "ballast").unlink()
        assert store.write([b"again"], [row(1, bytes(20_000))]) == 1


LOAD_FOR_EVER = """
import sys
from itertools import count
from noskew.stores.online.lmdb import LmdbStore
from noskew.testing.online_store import batch_of, row
from tests.stores.lmdb_writer import row_of
with LmdbStore(sys.argv[1]) as store:
    for number in count(int(sys.argv[2])):
        keys = [b"%06d" % i for i in range(100_000)]
        rows = [row_of(key, number) for key in keys]
        print(number, flush=True)
        store.load(batch_of(keys[at::8], rows[at::8]) for at in range(8))
"""


class TestKill:
    """Whatever moment a writer is killed at, what it acknowledged is there and whole."""

    @pytest.mark.parametrize("seed", range(3))
    def test_kill_9(self, tmp_path, seed):
        random = Random(seed)
        # The same directory again and again, so that damage would add up.
        for round_number in range(6):
            writer = round_number + 10 * seed
            acknowledged = self.killed_after(random.randint(1, 60), tmp_path, writer)
            with LmdbStore(tmp_path, map_size=lmdb_writer.MAP_SIZE) as store:
                self.check(store, writer, acknowledged)
                assert store.write([b"after the kill"], [row(round_number)]) == 1

    def test_kill_9_in_a_load(self, tmp_path):
        """It leaves each key at one of two versions, and a load that is repeated mends that."""
        keys = [b"%06d" % i for i in range(100_000)]
        with LmdbStore(tmp_path) as store:
            command = [sys.executable, "-c", LOAD_FOR_EVER, str(tmp_path), "1"]
            root = Path(__file__).parents[2]
            with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=root) as process:
                # The first load is over, and the second has begun to be seen.
                while stored_version(store.read(keys[:1])[0] or row(0)) < 2:
                    assert process.poll() is None
                process.kill()
            versions = [stored_version(found) for found in store.read(keys)]
            assert {*versions} <= {1, 2, 3}
            newest = max(versions)
            assert store.read(keys) == [
                lmdb_writer.row_of(k, v) for k, v in zip(keys, versions, strict=True)
            ]
            assert {path.name for path in tmp_path.iterdir()} <= {
                "data.mdb",
                "lock.mdb",
                "unsynced",
            }
            again = batch_of(keys, [lmdb_writer.row_of(k, newest) for k in keys])
            assert store.load([again]) == sum(v < newest for v in versions)
            assert {stored_version(found) for found in store.read(keys)} == {newest}

    def test_others_go_on_when_a_writer_is_killed(self, tmp_path):
        with LmdbStore(tmp_path, map_size=lmdb_writer.MAP_SIZE) as store:
            for writer in range(4):
                process = self.start(tmp_path, writer)
                for number in range(1, 20):
                    assert process.stdout.readline() == f"{number}\n"
                    store.write([b"mine"], [row(writer * 100 + number)])
                process.kill()
                rest = process.communicate()[0].split()
                self.check(store, writer, int(rest[-1]) if rest else 19)
                assert stored_version(store.read([b"mine"])[0]) == writer * 100 + 19

    @staticmethod
    def start(directory, writer):
        command = [sys.executable, lmdb_writer.__file__, str(directory), str(writer)]
        return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)

    def killed_after(self, count, directory, writer):
        """Kill the writer soon after ``count`` batches; the last number it acknowledged."""
        with self.start(directory, writer) as process:
            for _ in range(count):
                process.stdout.readline()
            process.kill()
            rest = process.stdout.read()
        # The last line may be cut short: then it was not acknowledged.
        whole = rest[: rest.rfind("\n") + 1].split()
        return int(whole[-1]) if whole else count

    @staticmethod
    def check(store, writer, acknowledged):
        expected = {}
        for number in range(1, acknowledged + 1):
            expected |= dict.fromkeys(lmdb_writer.batch(writer, number), number)
        found = dict(store.scan(b"%d/" % writer))
        assert expected.keys() <= found.keys()
        for key, stored in found.items():
            version = stored_version(stored)
            # The batch under way when it was killed may be there too, as a whole.
            assert expected.get(key, 0) <= version <= acknowledged + 1
            assert stored == lmdb_writer.row_of(key, version)
        started = lmdb_writer.batch(writer, acknowledged + 1)
        assert len({stored_version(found.get(k, row(0))) > acknowledged for k in started}) == 1


class TestAddress:
    def test_a_directory(self, tmp_path):
        with open_store(f"lmdb://{tmp_path}/a%20b") as store:
            store.write([b"k"], [row(1)])
        assert (tmp_path / "a b" / "data.mdb").exists()
        with open_store(f"lmdb://{tmp_path}/a b?readonly=true") as store:
            assert store.read([b"k"]) == [row(1)]
            with pytest.raises(StoreConfigError):
                store.write([b"k"], [row(2)])

    def test_a_map_size(self, tmp_path):
        with open_store(f"lmdb://{tmp_path}?map_size=1048576") as store:
            assert store._environment.handle.info()["map_size"] == 1 << 20

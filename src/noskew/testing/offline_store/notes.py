"""Notes that change with an append."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pyarrow as pa
import pytest

from noskew.errors import (
    ConflictError,
    InputError,
    InvalidNameError,
    LimitError,
    NoteMismatchError,
)
from noskew.stores.offline.base import (
    OfflineStore,
)
from noskew.testing.offline_store.facts import (
    facts,
    listed,
    simple,
)
from noskew.testing.offline_store.suite import OfflineStoreSuite


class NoteTests(OfflineStoreSuite):
    """Compare-and-swap of texts beside the facts."""

    # -- notes -------------------------------------------------------------------------------

    def test_notes_change_with_an_append(self, store: OfflineStore) -> None:
        store.create(simple())
        first = store.append("facts", [facts([(1, 1, 1.0)])], notes={"log:a.0": "17", "b": ""})
        assert store.info("facts").notes == {"log:a.0": "17", "b": ""}
        text = '"ü\U0001f600\n\x00' + "x" * 8_000
        second = store.append("facts", [], notes={"log:a.0": text})
        store.append("facts", [facts([(2, 2, 2.0)])], token="a")
        with self.reopen(store) as again:
            info = again.info("facts")
            assert info.notes == {"log:a.0": text, "b": ""}
            assert again.info("facts", snapshot=info.snapshot).notes == info.notes
            for earlier in (first, second):
                assert again.info("facts", snapshot=earlier.snapshot).notes is None

    @pytest.mark.parametrize(
        ("notes", "error"),
        [
            ({"a b": ""}, InvalidNameError),
            ({"": ""}, InvalidNameError),
            ({"x" * 129: ""}, InvalidNameError),
            ({"a/b": ""}, InvalidNameError),
            ({"a": "ü" * 4_097}, LimitError),
            ({"a": "\ud800"}, InputError),
        ],
        ids=["space", "empty", "long", "slash", "large", "surrogate"],
    )
    def test_notes_are_checked(
        self, store: OfflineStore, notes: dict[str, str], error: type[Exception]
    ) -> None:
        store.create(simple())
        with pytest.raises(error):
            store.append("facts", [facts([(1, 1, 1.0)])], notes={"good": "1", **notes})
        if error is InvalidNameError:
            with pytest.raises(error):
                store.append("facts", [facts([(1, 1, 1.0)])], expected=dict.fromkeys(notes))
        assert (store.info("facts").snapshot, store.info("facts").notes) == (None, {})

    @pytest.mark.parametrize(
        ("expected", "found", "wrong"),
        [
            ({"n": "2"}, "1", "2"),
            ({"n": None}, "1", None),
            ({"other": None, "n": ""}, "1", ""),
            ({"n": "1", "other": "1"}, None, "1"),
        ],
    )
    def test_a_note_that_is_not_as_expected_keeps_facts_out(
        self,
        store: OfflineStore,
        expected: dict[str, str | None],
        found: str | None,
        wrong: str | None,
    ) -> None:
        store.create(simple())
        store.append("facts", [facts([(1, 1, 1.0)])], notes={"n": "1"}, expected={"n": None})
        before = store.info("facts")

        def unread() -> Iterator[pa.RecordBatch]:
            raise AssertionError("batches must not be read for nothing")
            yield

        with pytest.raises(NoteMismatchError, match="nothing was added") as raised:
            store.append("facts", unread(), notes={"n": "3"}, expected=expected)
        error = raised.value
        assert (error.found, error.expected) == (found, wrong)
        assert error.note in expected
        assert isinstance(error, ConflictError)
        assert not error.retryable
        assert store.info("facts") == before
        store.append("facts", [], notes={"n": "2"}, expected={"n": "1", "other": None})
        assert store.info("facts").notes == {"n": "2"}

    @pytest.mark.parametrize("when", ["while it reads", "before it commits"])
    @pytest.mark.parametrize("base", [None, "1"])
    def test_whoever_is_overtaken_at_a_note_adds_nothing(
        self, store: OfflineStore, when: str, base: str | None
    ) -> None:
        """Also at the very first commit, when there is no snapshot to be overtaken at."""
        store.create(simple())
        if base:
            store.append("facts", [], notes={"n": base})
        with self.reopen(store) as other:

            def move_on() -> None:
                batch = facts([(2, 2, 2.0)])
                other.append("facts", [batch], notes={"n": "theirs"}, expected={"n": base})

            def batches() -> Iterator[pa.RecordBatch]:
                yield facts([(1, 1, 1.0)])
                if when == "while it reads":
                    move_on()

            def progress(rows: int) -> None:
                if when == "before it commits":
                    move_on()

            with pytest.raises(NoteMismatchError) as raised:
                store.append(
                    "facts", batches(), notes={"n": "ours"}, expected={"n": base}, progress=progress
                )
        assert (raised.value.found, raised.value.expected) == ("theirs", base)
        assert listed(store.read("facts", ["k"]).column("k")) == [2]
        assert store.info("facts").notes == {"n": "theirs"}

    def test_an_append_overtaken_at_another_note_goes_on(self, store: OfflineStore) -> None:
        store.create(simple())
        with self.reopen(store) as other:

            def overtaken(rows: int) -> None:
                other.append("facts", [facts([(2, 2, 2.0)])], notes={"b": "1"})

            store.append(
                "facts",
                [facts([(1, 1, 1.0)])],
                notes={"a": "1"},
                expected={"a": None},
                progress=overtaken,
            )
        assert store.info("facts").notes == {"a": "1", "b": "1"}
        assert sorted(listed(store.read("facts", ["k"]).column("k"))) == [1, 2]

    def test_a_token_that_is_there_is_not_compared_with_notes(self, store: OfflineStore) -> None:
        """Whoever never heard of its commit repeats it after the note has moved with it."""
        store.create(simple())
        batch = facts([(1, 1, 1.0)])
        for repeated in (False, True):
            commit = store.append(
                "facts", [batch], token="t", notes={"n": "1"}, expected={"n": None}
            )
            assert commit.repeated == repeated
        assert store.info("facts").rows == 1

    def test_of_writers_at_one_note_one_gets_on(self, store: OfflineStore) -> None:
        store.create(simple())
        rounds, writers = 5, 3
        barrier = threading.Barrier(writers)
        won: list[tuple[int, int]] = []
        lost: list[tuple[int, int]] = []

        def write(writer: int) -> None:
            with self.reopen(store) as own:
                for number in range(rounds):
                    barrier.wait(60)
                    rows = [(writer, number, float(number))]
                    try:
                        own.append(
                            "facts",
                            [facts(rows)],
                            notes={"n": f"{number}"},
                            expected={"n": f"{number - 1}" if number else None},
                        )
                        won.append((writer, number))
                    except NoteMismatchError:
                        lost.append((writer, number))

        threads = [threading.Thread(target=write, args=(n,)) for n in range(writers)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(number for _, number in won) == list(range(rounds))
        assert len(lost) == rounds * (writers - 1)
        read = store.read("facts", ["k", "v"]).to_pylist()
        assert sorted((row["k"], row["v"]) for row in read) == sorted(won)

"""A process that streams: the loops of noskew's processor and archiving, a turn at a time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from contextlib import suppress

from noskew.definitions.view import FeatureView
from noskew.errors import ConflictError, FencedError, NoskewError, OffsetLostError
from noskew.intake.tables import table_name
from noskew.stores.log.base import Messages
from noskew.streaming.archive.archive import Archive
from noskew.streaming.fold.partition import PartitionFold
from noskew.streaming.fold.progress import PartitionProgress
from noskew.streaming.fold.view_fold import ViewFold
from noskew.streaming.publish.publisher import Publishing
from tests.simulation.parts import Parts

#: Rows of one commit when everything is to be archived.
_MOST_ROWS = 1_000
#: How often a process looks whether its rows are to be made anew.
_LOOK_S = 1.0


class Process:
    """Folds and archives some partitions. Any call may raise what its stores do: it has ended then.

    ``trace`` counts what happened to it.
    """

    def __init__(self, name: str, parts: Parts, views: Sequence[FeatureView], trace: Counter[str]):
        self.name, self.parts, self.views, self.trace = name, parts, views, trace
        self._archive_history()
        self.folds: list[ViewFold] = [parts.ready(view) for view in views]
        self._base = parts.base(self.folds)
        self._looked = parts.seconds()
        self.publishing: Publishing = parts.publishing(self._base)
        self.partitions: dict[int, PartitionFold] = {}
        self._reader = parts.log.reader({})
        self._archives: dict[str, Archive] = {}

    def take(self, numbers: Sequence[int]) -> None:
        """Work on partitions, whoever did before."""
        for number in numbers:
            self._base.prepare(number)
        made = {n: self.parts.partition(self.folds, n) for n in numbers}
        self._base.check_state()
        self.publishing.open(made.values())
        self.partitions |= made
        for number, partition in made.items():
            self._reader.assign(number, partition.next_offset)

    def turn(self, *, now: bool = False) -> bool:
        """Read, fold, commit, publish. Whether the online store has everything."""
        self._look()
        for messages in self._reader.poll(0):
            self._step(messages)
        again = self.publishing.published_again
        done = self.publishing.work(now=now)
        self.trace["rows published again"] += self.publishing.published_again - again
        return done

    def read_again(self, number: int, offset: int) -> None:
        """Read a partition from an earlier offset on."""
        self._reader.assign(number, offset)

    def give_up(self, number: int) -> bool:
        """Leave a partition to others, once the online store has its rows."""
        if not self.publishing.work(now=True):
            return False
        self._drop(number)
        return True

    def archive(
        self, numbers: Sequence[int], most_rows: int, *, compact: str | None = None
    ) -> None:
        """Take events of partitions to the offline store. An archive survives its errors.

        ``compact``: merge runs of the table, the "small" ones or "all".
        """
        for view in {v.log_hash: v for v in self.views}.values():
            try:
                self._archive(view, numbers, most_rows, compact)
            except (FencedError, OffsetLostError):
                # Another process, or a commit of its own that it was not told of: look again.
                self.trace["archives overtaken"] += 1
                self._archives.pop(view.log_hash, None)
            except NoskewError:
                self.trace["archive steps that failed"] += 1

    def is_done(self) -> bool:
        """Whether everything in the log is folded and archived."""
        ends = self._ends()
        folded = all(p.next_offset >= ends[n] for n, p in self.partitions.items())
        logs = {v.log_hash for v in self.views}
        return (
            folded
            and logs == self._archives.keys()
            and not any(archive.behind(ends) for archive in self._archives.values())
        )

    def progress(self) -> Iterable[tuple[str, int, PartitionProgress]]:
        """How far each view is in each partition."""
        for number, partition in self.partitions.items():
            for name, progress in partition.progress.items():
                yield name, number, progress

    def _archive_history(self) -> None:
        """Before a view starts beside facts that are there: archive what the log holds by now."""
        for view in self.views:
            if self.parts.generations.of(view) is None and self.parts.has_table(view):
                ends = self._ends()
                archive = self.parts.archive(view, list(ends))
                while archive.behind(ends):
                    archive.step(_MOST_ROWS)

    def _ends(self) -> dict[int, int]:
        log = self.parts.log
        return {n: log.bounds(n)[1] for n in range(log.partitions)}

    def _step(self, messages: Messages) -> None:
        partition = self.partitions.get(messages.partition)
        if partition is None:
            return
        again = int((messages.offsets < partition.next_offset).sum())
        try:
            self.publishing.add(partition.step(messages))
        except FencedError:
            self.trace["commits refused"] += 1
            self._drop(messages.partition)
            return
        self.trace["messages folded"] += len(messages) - again
        self.trace["messages read again"] += again

    def _drop(self, number: int) -> None:
        self._reader.drop(number)
        self.publishing.drop(number)
        del self.partitions[number]

    def _look(self) -> None:
        """Now and then: whether its rows are still those of the project."""
        if self.parts.seconds() - self._looked >= _LOOK_S:
            self._base.check_registry()
            self._looked = self.parts.seconds()

    def _archive(
        self, view: FeatureView, numbers: Sequence[int], most_rows: int, compact: str | None
    ) -> None:
        archive = self._archives.get(view.log_hash)
        if archive is None:
            archive = self._archives[view.log_hash] = self.parts.archive(view, numbers)
        archive.follow(numbers)
        archived = archive.step(most_rows)
        self.trace["events archived"] += archived
        if compact:
            with suppress(ConflictError):  # somebody else does
                small = compact == "small"
                merged = self.parts.offline.compact(table_name(view), small=small)
                self.trace["runs merged"] += merged

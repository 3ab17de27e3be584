"""Fold base: the rows that a processor folds on, and whether they are still the project's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from noskew.intake.tables import table_name
from noskew.registry.records.streaming import StreamGeneration
from noskew.streaming.fold.view_fold import ViewFold
from noskew.streaming.workers.bootstrap import Bootstrap


@dataclass(frozen=True)
class FoldBase:
    """The rows of some views, made where they lacked, while a processor folds on top of them."""

    bootstrap: Bootstrap
    folds: Sequence[ViewFold]

    def generations(self) -> dict[bytes, StreamGeneration]:
        """That of the state's rows of each view, by their prefix.

        Raises RebuiltError if they are no longer those that the folds are of.
        """
        return {fold.prefix: self.bootstrap.generation(fold) for fold in self.folds}

    def prepare(self, number: int) -> None:
        """Before a partition is claimed: bring it to where the archive is, if that is far."""
        for fold in self.folds:
            self.bootstrap.advance(fold, number, table_name(fold.view))

    def check_state(self) -> None:
        """Once partitions are claimed: raises RebuiltError if rows were made anew before."""
        self.generations()

    def check_registry(self) -> None:
        """Now and then: raises RebuiltError if they are to be made anew, on any machine."""
        self.bootstrap.check_registry(self.folds)

"""The contract of a registry: versions of projects, training sets, and records beside them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from typing import TypeVar

from noskew.definitions.project import Project
from noskew.registry.records.record import Record, RecordKind
from noskew.registry.training_sets import SavedTrainingSet
from noskew.registry.versions import Applied, StoredDefinition, Version
from noskew.resources import Closing

_Key = TypeVar("_Key", bound=str)
_Value = TypeVar("_Value")


class Registry(Closing, ABC):
    """What is applied in each project, and what was before.

    It knows definitions and plain values, and no store. Every name of a project is a world of its
    own. Times are int64 microseconds and come from the caller; the registry reads no clock.

    *Errors.* Every method raises InvalidNameError for a project that is not a name,
    StoreUnavailableError if the registry cannot be reached or is locked too long, CorruptDataError
    if it holds what noskew did not write, StoreFullError if it has no space left, and RegistryError
    for what none of these is. No other exception leaves it. A project that nobody applied is empty
    and no error.

    *Writes.* Every method that writes does so in one transaction: all of it or nothing, whatever
    dies on the way, and it is durable when the method returns. After StoreUnavailableError it may
    have been done nevertheless, since the answer may have been lost: read before repeating.

    *Concurrent callers.* Methods may be called from many threads and processes, and an object
    may be used after a fork. A read sees one transaction's outcome, whole, and everything that was
    written before it began. What is read is frozen and never changes afterwards.

    An implementation passes :class:`noskew.testing.registry.RegistryTests`.
    """

    # ---------------------------------------------------------------- versions

    @abstractmethod
    def projects(self) -> list[str]:
        """The names of the projects that were applied, sorted."""

    @abstractmethod
    def head(self, project: str) -> int:
        """The number of the current version, 0 before the first.

        Cheap, whatever the size of the project: servers ask every second.
        """

    @abstractmethod
    def current(self, project: str, *, reuse: Applied | None = None) -> Applied:
        """The current version; version 0 and an empty project before the first ``apply``.

        Definitions are made when they are first asked for, which raises DefinitionError if the
        libraries of today refuse one that was accepted when it was applied; functions are named and
        not imported. ``reuse``: an earlier version, whose definitions are taken where they are the
        same.
        """

    @abstractmethod
    def version(self, project: str, number: int) -> Applied:
        """Version ``number`` as it was applied, as :meth:`current` gives it. Versions never change.

        Raises NotFoundError, which names the current version, if there is none of that number.
        """

    @abstractmethod
    def history(self, project: str) -> list[Version]:
        """Every version, newest first, without definitions."""

    @abstractmethod
    def definitions(self, project: str, kind: str | None = None) -> list[StoredDefinition]:
        """The definitions of the current version as data, by kind and name, for discovery.

        Nothing is loaded, so that also those can be seen that the libraries of today refuse.
        ``kind``: only these, of :data:`noskew.registry.versions.KINDS`.
        """

    @abstractmethod
    def apply(
        self,
        project: str,
        desired: Project,
        *,
        base_version: int,
        applied_at: int,
        applied_by: str = "",
        message: str = "",
    ) -> Applied:
        """Make ``desired`` the version after ``base_version``: a compare-and-swap.

        Of several callers with the same ``base_version`` exactly one succeeds. Readers see the old
        version, whole, or the new one with its history and :meth:`definitions`.

        Raises ConflictError, which says who applied last and changes nothing, if the current
        version is not ``base_version``; InputError for a ``base_version`` that is no number or for
        text that cannot be stored; DefinitionError for definitions that JSON cannot hold.
        """

    # ---------------------------------------------------------------- training sets

    @abstractmethod
    def save_training_set(
        self, project: str, saved: SavedTrainingSet, *, replace: bool = False
    ) -> None:
        """Keep a training set under its name; the same spec and digest again change nothing.

        Raises InputError if another one has the name and ``replace`` is not set, or if the spec is
        not JSON data; InvalidNameError for a name that is none.
        """

    @abstractmethod
    def training_set(self, project: str, name: str) -> SavedTrainingSet:
        """The training set of that name, or NotFoundError with the nearest names."""

    @abstractmethod
    def training_sets(self, project: str) -> list[SavedTrainingSet]:
        """Every saved training set, by name."""

    # ---------------------------------------------------------------- records

    @abstractmethod
    def record(
        self, project: str, kind: RecordKind[_Key, _Value], key: _Key
    ) -> Record[_Key, _Value] | None:
        """The record of that kind and key, or None.

        Raises CorruptDataError, which names the record, if its value is of another shape than the
        kind's.
        """

    @abstractmethod
    def records(self, project: str, kind: RecordKind[_Key, _Value]) -> list[Record[_Key, _Value]]:
        """Every record of a kind, by key in the order of code points. Errors: as :meth:`record`."""

    def put_record(self, project: str, record: Record[_Key, _Value]) -> None:
        """As :meth:`put_records`, of one."""
        self.put_records(project, [record])

    @abstractmethod
    def put_records(self, project: str, new: Iterable[Record[_Key, _Value]]) -> None:
        """Keep each record in place of the one of the same kind and key, whatever that is.

        All of them or, where it raises, none. Raises InputError for a key or a value that cannot
        be stored.
        """

    @abstractmethod
    def swap_record(
        self, project: str, record: Record[_Key, _Value], *, expected: _Value | None
    ) -> bool:
        """Keep a record if the value in its place equals ``expected``; None: if there is none.

        False if it does not, which changes nothing: somebody else was first. Of several callers
        that expect the same exactly one gets True. Values are compared, not their text: a record
        that was written before its kind had a new field is equal to what :meth:`record` gives.

        Raises InputError as :meth:`put_record` does.
        """

    @abstractmethod
    def delete_record(self, project: str, kind: RecordKind[_Key, _Value], key: _Key) -> None:
        """Forget the record of that kind and key; an absent one is skipped."""

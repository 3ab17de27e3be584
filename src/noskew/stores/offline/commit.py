"""One commit to an Iceberg table: the one moment at which it changes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from pyiceberg.exceptions import CommitFailedException, NoSuchTableError
from pyiceberg.manifest import DataFile
from pyiceberg.table import Transaction
from pyiceberg.table.metadata import TableMetadata
from pyiceberg.table.update import RemoveSnapshotsUpdate, TableUpdate

from noskew.errors import ConflictError, StoreError
from noskew.stores.offline.catalog import TableState
from noskew.stores.offline.faults import faults
from noskew.stores.offline.files import Attempt

#: How often work that is finished is committed again because others were faster. Each time
#: somebody got on, and it takes some tens of milliseconds: nothing is written again as a rule.
TRIES = 20


def commit(
    state: TableState,
    attempt: Attempt | None,
    *,
    summary: Mapping[str, str],
    added: Iterable[DataFile] = (),
    replaced: Sequence[DataFile] = (),
    properties: Mapping[str, str] | None = None,
    forgotten: Sequence[int] = (),
) -> int:
    """Make a snapshot on top of ``state`` that has ``added`` and has not ``replaced``.

    The same transaction sets ``properties`` of the table and forgets the snapshots
    ``forgotten``. It requires that the latest snapshot is that of ``state``, none if there was
    none, and that the table was not made anew. Releases the attempt's files.

    Raises ConflictError if that does not hold; nothing was changed then, and the attempt's
    files can be committed again. After any other error they are released if they may be needed.
    """
    name = state.spec.name
    try:
        with faults(f"committing to the table {name!r}"):
            transaction = _Transaction(state.for_commit())
            update = transaction.update_snapshot(snapshot_properties=dict(summary))
            with update.overwrite() if replaced else update.merge_append() as producer:
                for file in added:
                    producer.append_data_file(file)
                for file in replaced:
                    producer.delete_data_file(file)
            if properties:
                transaction.set_properties(dict(properties))
            if forgotten:
                gone = RemoveSnapshotsUpdate.model_validate({"snapshot-ids": list(forgotten)})
                transaction._apply((gone,))
            transaction.commit_transaction()
    except (CommitFailedException, NoSuchTableError) as error:
        raise overtaken(name) from error
    except BaseException as error:
        # File errors come before the catalog's transaction, so nothing can refer to our files.
        # After anything else the commit may have happened and the files must stay; if it has
        # not, a repeated append of the same token, `compact` or `expire` removes them.
        certain = isinstance(error, StoreError) and isinstance(error.__cause__, OSError)
        if attempt is not None and not certain:
            attempt.release()
        raise
    if attempt is not None:
        attempt.release()
    return producer.snapshot_id


class _Transaction(Transaction):
    """Works out once what the table would be after the updates so far.

    pyiceberg does so at every look, two dozen times a commit, and each time copies the records
    of all snapshots: of a hundred snapshots, that is most of what a commit takes.
    """

    _worked_out: tuple[TableMetadata, tuple[TableUpdate, ...], TableMetadata] | None = None

    @property
    def table_metadata(self) -> TableMetadata:
        base, updates = self._table.metadata, self._updates
        if not updates:
            return base
        last = self._worked_out
        if last is None or last[0] is not base or last[1] is not updates:
            last = self._worked_out = (base, updates, super().table_metadata)
        return last[2]


def overtaken(table: str) -> ConflictError:
    """The error for work that others made void."""
    return ConflictError(
        f"the table {table!r} changed while this call was working on it; nothing was added: "
        f"repeat the call"
    )

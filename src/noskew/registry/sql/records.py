"""Records as rows."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, TypeVar

from sqlalchemy import Connection, delete, select, update

from noskew.registry.records.record import Record, RecordKind
from noskew.registry.sql import tables
from noskew.registry.sql.database import insert_into

_Key = TypeVar("_Key", bound=str)
_Value = TypeVar("_Value")
_RECORDS = tables.records


def record(
    connection: Connection, project: str, kind: RecordKind[_Key, _Value], key: _Key
) -> Record[_Key, _Value] | None:
    """The record of that kind and key, or None."""
    t = _RECORDS
    query = select(t.c.data, t.c.recorded_at).where(_place(project, kind.name, key))
    row = connection.execute(query).one_or_none()
    return None if row is None else kind.decode(key, row.data, row.recorded_at)


def records(
    connection: Connection, project: str, kind: RecordKind[_Key, _Value]
) -> list[Record[_Key, _Value]]:
    """Every record of a kind, by key."""
    t = _RECORDS
    query = select(t.c.key, t.c.data, t.c.recorded_at).where(
        t.c.project == project, t.c.kind == kind.name
    )
    # A database sorts text in its own order.
    rows = sorted(connection.execute(query).all(), key=lambda row: row.key)
    return [kind.decode(row.key, row.data, row.recorded_at) for row in rows]


def put(connection: Connection, project: str, new: Iterable[Record[_Key, _Value]]) -> None:
    """Keep records in place of those of the same kind and key."""
    t = _RECORDS
    rows = [place | content for place, content in (_row_of(project, record) for record in new)]
    if not rows:
        return
    statement = insert_into(connection, t)
    content = {name: statement.excluded[name] for name in ("data", "recorded_at")}
    place = [t.c.project, t.c.kind, t.c.key]
    connection.execute(statement.on_conflict_do_update(index_elements=place, set_=content), rows)


def swap(
    connection: Connection, project: str, new: Record[_Key, _Value], expected: _Value | None
) -> bool:
    """Keep a record if the value in its place is ``expected``; None: if there is none.

    Every statement waits for another transaction that changes the row, then sees its outcome.
    """
    t = _RECORDS
    place, content = _row_of(project, new)
    if expected is None:
        fresh = insert_into(connection, t).values(**place, **content).on_conflict_do_nothing()
        return connection.execute(fresh.returning(t.c.key)).scalar() is not None
    mine = _place(project, new.kind.name, new.key)

    def replace(text: str) -> bool:
        changed = update(t).where(mine & (t.c.data == text)).values(**content)
        return connection.execute(changed.returning(t.c.key)).scalar() is not None

    if replace(new.kind.encode(new.key, expected)):
        return True
    # The same value may have been written as other text, by a version with fewer fields.
    row = connection.execute(select(t.c.data, t.c.recorded_at).where(mine)).one_or_none()
    if row is None or new.kind.decode(new.key, row.data, row.recorded_at).value != expected:
        return False
    return replace(row.data)


def forget(connection: Connection, project: str, kind: RecordKind[_Key, _Value], key: _Key) -> None:
    """Forget the record of that kind and key; an absent one is skipped."""
    connection.execute(delete(_RECORDS).where(_place(project, kind.name, key)))


def _place(project: str, kind: str, key: str) -> Any:
    t = _RECORDS
    return (t.c.project == project) & (t.c.kind == kind) & (t.c.key == str(key))


def _row_of(project: str, new: Record[_Key, _Value]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The columns that say which record it is, and the others."""
    place = {"project": project, "kind": new.kind.name, "key": new.kind.check_key(new.key)}
    content = {"data": new.kind.encode(new.key, new.value), "recorded_at": new.recorded_at}
    return place, content

"""Source: where events come from, and which of their columns are clocks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from noskew.clock import MAX_TIME, MIN_TIME, duration_micros
from noskew.definitions import connectors
from noskew.definitions.connectors import Connector, Stream
from noskew.definitions.declared import Converted, option
from noskew.definitions.described import Described
from noskew.definitions.engines import installed_engine
from noskew.definitions.sql_check import check_expression
from noskew.definitions.windows import Duration
from noskew.errors import DefinitionError, nearest
from noskew.types import Schema

#: How far an event's own time may lie ahead of the time it became known (SPEC §1).
DEFAULT_MAX_FUTURE = "5min"
#: How long the ids of events are remembered (SPEC §6).
DEFAULT_EVENT_ID_HORIZON = "1d"
#: Which repetitions of an id count (decision 5); raised by one when that changes.
_RULE = 2
#: How long before the greatest value of a cursor rows may still appear.
DEFAULT_OVERLAP = "1h"
#: How batch data may change; see :class:`Source`.
CHANGES = ("append", "grow", "replace")
#: No two times lie further apart.
_LONGEST = MAX_TIME - MIN_TIME


def _schema(source: Source, given: Mapping[str, Any]) -> Schema:
    return Schema(given, where=f"{source.what}, column", has_units=True)


def _names(source: Source, given: Mapping[str, str]) -> Mapping[str, str]:
    """The columns that the data calls otherwise. Raises DefinitionError."""
    named = {}
    for name, theirs in dict(given).items():
        if name not in source.schema:
            raise DefinitionError(
                f"{source.what}: columns={{{name!r}: …}} is not in its schema; "
                f"{nearest(name, source.schema)}"
            )
        if not isinstance(theirs, str) or not theirs:
            raise DefinitionError(
                f"{source.what}: columns={{{name!r}: …}} must be the name of a column in the data, "
                f"got {theirs!r}"
            )
        if theirs != name:
            named[name] = theirs
    readers: dict[str, str] = {}
    for name in source.schema:
        theirs = named.get(name, name)
        if theirs in readers:
            raise DefinitionError(
                f"{source.what}: the columns {readers[theirs]!r} and {name!r} are both "
                f"{theirs!r} in the data; see columns={dict(given)!r}"
            )
        readers[theirs] = name
    return named


def _micros(source: Source, given: Duration) -> int:
    del source
    return duration_micros(given)


def _overlap(source: Source, given: Duration | None) -> int:
    """In µs of a timestamp, else as it is; 0 without a cursor. Raises DefinitionError."""
    if source.cursor is None:
        if given:
            raise DefinitionError(f"{source.what}: overlap={given!r} is for a source with a cursor")
        return 0
    kind = source.schema.get(source.cursor)
    if kind is None or not (kind.kind == "timestamp" or kind.is_integer):
        return 0  # which is refused
    if kind.kind == "timestamp":
        return duration_micros(DEFAULT_OVERLAP if given is None else given)
    if isinstance(given, bool) or not isinstance(given, int):
        raise DefinitionError(
            f"{source.what}: say how far back from the greatest {source.cursor!r} rows may still "
            f"appear, as a number: overlap=10_000; got {given!r}"
        )
    return given


def _engine(source: Source, given: str) -> str:
    return given or (installed_engine("sql") if source.filter else "")


class Source(Described):
    """Events: a schema, the columns that are clocks, and where the data is.

    Parameters
    ----------
    name
        An identifier, unique in the project; SQL transforms select ``FROM`` it.
    schema
        Columns and types: ``{"origin": str, "departed_at": "timestamp"}``. A time that the data
        has as a number says its unit since 1970: ``"timestamp[s]"``, ``[ms]``, ``[us]``, ``[ns]``;
        real times and their texts are read all the same.
    event_time
        The timestamp column that says when it happened. Rows without it are refused.
    created
        The timestamp column that says when it became known; where absent or null, the load
        time stands in.
    event_id
        A column that identifies an event; a later row of the same id and key is a duplicate
        and does not count.
    event_id_horizon
        How long after an event that counts, by known time, another one of its id is a duplicate.
    filter
        A row-wise SQL expression; rows for which it is not true are not events.
    columns
        What the data calls columns, where it calls them otherwise:
        ``{"customer_id": "Customer ID"}``. So it is in files, tables, queries, frames and messages
        of Kafka; rows that are pushed have the declared names. It says where a value is and not
        what it is, as connectors do, so it is no part of the definition hash: rows are the same
        once they are read. Rows that others take the place of are refused as ever.
    batch, stream
        Connectors, such as ``ns.Parquet("data/")`` and ``ns.Kafka("topic")``.
    changes
        How the batch data changes from one ingest to the next. In any case rows that were there
        are known again, and new ones are added. ``"append"``: files may go, and one that is there
        still holds what it held. ``"grow"``: nothing goes. ``"replace"``: what it holds now is the
        truth; a row that is gone is taken back, from the time of the ingest on. None is as
        ``"append"``. Where rows are gone that must not be, an ingest adds nothing and says so.
    cursor
        A column that is greater in rows that came, or were changed, later: a timestamp such as
        ``"updated_at"``, or an integer. An ingest of a query then reads the rows from where the
        last one came to, less ``overlap``, and compares them with what is there of these. It also
        counts the rows before: where their number is not as it was, all is read. A row that
        changes without its cursor is noticed only then, or never. Rows without a value are
        refused.
    overlap
        How far back from there: a duration for a timestamp (``"1h"`` by default), a number for an
        integer. Rows that appear later than that are seen, but cost a read of all.
    max_future
        Events further ahead of their known time than this are quarantined.
    engine
        What runs the filter; leave it out. The registry gives back the one that was applied.
    """

    noun = "source"

    schema: Converted[Mapping[str, Any], Schema] = option(kw_only=False, convert=_schema)
    event_time: str
    created: str | None = None
    event_id: str | None = None
    event_id_horizon: Converted[Duration, int] = option(
        default=DEFAULT_EVENT_ID_HORIZON, convert=_micros
    )
    filter: str | None = None
    columns: Converted[Mapping[str, str], Mapping[str, str]] = option(
        default_factory=dict, compare=False, convert=_names
    )
    batch: Connector | None = option(default=None, compare=False)
    stream: Stream | None = option(default=None, compare=False)
    changes: str | None = option(default=None, compare=False)
    cursor: str | None = option(default=None, compare=False)
    overlap: Converted[Duration | None, int] = option(default=None, compare=False, convert=_overlap)
    max_future: Converted[Duration, int] = option(default=DEFAULT_MAX_FUTURE, convert=_micros)
    engine: str = option(default="", convert=_engine)

    def _check(self) -> None:
        for role in ("event_time", "created"):
            column = getattr(self, role)
            if column is not None and self._column(role, column).kind != "timestamp":
                raise DefinitionError(
                    f"{self.what}: {role}={column!r} must be a timestamp column, "
                    f"it is {self.schema[column]}"
                )
        if self.event_id is not None and self._column("event_id", self.event_id).is_nested:
            raise DefinitionError(f"{self.what}: event_id must be a scalar column")
        for span in ("max_future", "event_id_horizon"):
            if not 0 <= getattr(self, span) <= _LONGEST:
                raise DefinitionError(
                    f"{self.what}: {span} must not be negative, nor longer than the "
                    f"calendar of 9,999 years; got {getattr(self, span)} µs"
                )
        if self.changes is not None and self.changes not in CHANGES:
            raise DefinitionError(
                f"{self.what}: changes must be one of {', '.join(map(repr, CHANGES))}, "
                f"got {self.changes!r}"
            )
        if self.filter is not None:
            check_expression(self.filter, self.schema, f"{self.what}, filter")
        for role in ("batch", "stream"):
            connector = getattr(self, role)
            if connector is not None and not isinstance(connector, Connector):
                raise DefinitionError(
                    f"{self.what}: {role} must be a connector such as "
                    f"ns.Parquet('data/'), got {connector!r}"
                )
        if self.stream is not None and not isinstance(self.stream, Stream):
            raise DefinitionError(
                f"{self.what}: stream must be ns.Kafka(…) or ns.LocalLog(…), got {self.stream!r}"
            )
        for column in self.stream.key if self.stream else ():
            self._column("stream key", column)
        self._check_cursor()

    def _check_cursor(self) -> None:
        if self.cursor is None:
            return
        kind = self._column("cursor", self.cursor)
        if not (kind.kind == "timestamp" or kind.is_integer) or self.cursor in self.schema.units:
            raise DefinitionError(
                f"{self.what}: cursor={self.cursor!r} must be a timestamp or an integer, and no "
                f"number that counts a unit; it is {kind}"
            )
        if self.overlap < 0:
            raise DefinitionError(f"{self.what}: overlap must not be negative, got {self.overlap}")
        if self.batch is None or not self.batch.has_cursor:
            raise DefinitionError(
                f"{self.what}: cursor={self.cursor!r} is for queries, such as ns.Postgres(…) and "
                f"ns.DuckDb(…); of files and tables only new parts are read anyway"
            )

    def _column(self, role: str, column: str) -> Any:
        if column not in self.schema:
            raise DefinitionError(
                f"{self.what}: {role}={column!r} is not in its schema; "
                f"{nearest(column, self.schema)}"
            )
        return self.schema[column]

    @property
    def is_as_declared(self) -> bool:
        """Whether its data has the declared names, and real times.

        Otherwise only noskew reads it right, and no engine may run a SELECT over it by itself.
        """
        return not self.columns and not self.schema.units

    def __repr__(self) -> str:
        known = self.created or "when loaded"
        return (
            f"<Source {self.name}: {len(self.schema)} columns, happened {self.event_time}, "
            f"known {known}>"
        )

    def identity(self) -> dict[str, Any]:
        """What can change a value or a row; where the data is at the moment is not part of it."""
        engine = {"engine": self.engine} if self.filter else {}
        horizon = {}
        if self.event_id:
            horizon = {"event_id_horizon": self.event_id_horizon, "event_id_rule": _RULE}
        # Rows of a stream are made to be merged, and its events know their place in the log.
        streamed = {"streamed": True} if self.stream else {}
        return {
            "name": self.name,
            "schema": self.schema.pairs(),
            "event_time": self.event_time,
            "created": self.created,
            "event_id": self.event_id,
            "filter": self.filter,
            "max_future": self.max_future,
            **horizon,
            **streamed,
            **engine,
        }

    def to_dict(self) -> dict[str, Any]:
        """Everything, as JSON data."""
        return {
            **self.identity(),
            **({"columns": dict(self.columns)} if self.columns else {}),
            "batch": self.batch.to_dict() if self.batch else None,
            "stream": self.stream.to_dict() if self.stream else None,
            **({"changes": self.changes} if self.changes else {}),
            **({"cursor": self.cursor, "overlap": self.overlap} if self.cursor else {}),
            **self.documentation(),
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Source:
        """The inverse of :meth:`to_dict` (a frame's data is not kept)."""
        options = {n: value for n, value in data.items() if n not in ("streamed", "event_id_rule")}
        schema = dict(options.pop("schema"))
        options["batch"] = connectors.from_dict(options["batch"])
        options["stream"] = connectors.from_dict(options["stream"])
        return cls(options.pop("name"), schema, **options)

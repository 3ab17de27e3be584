"""Where answers that were served are kept: one offline table for each definition of a service."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import pyarrow as pa

from noskew.addresses import answers_table
from noskew.definitions.identity import digest
from noskew.definitions.project import Project
from noskew.definitions.service import FeatureService
from noskew.registry.records.keys import DefinitionKey
from noskew.registry.records.serving import ServedDefinition
from noskew.stores.offline.base import TableSpec
from noskew.types import DType

#: A hash of the row's entity: what the rows of a file are sorted by, before their times.
ENTITY = "entity"
#: Which process served a row, and its number there. A row that is there twice, because an
#: append failed without saying whether it was done, has both twice.
SERVER, SERIAL = "server", "serial"
_MOST_LETTERS = 128


@dataclass(frozen=True)
class ServedTable:
    """The table of a service's answers, and the names of its columns.

    A row of it is a row of an answer: when it was asked for (the system column of the event
    time: ``t``; that of the known time says when it was written), the join keys, the request
    fields and the features; and for each view that was read, in the service's order,

    ``version_N``
        binary: the version of the row in the online store, null if there was none; of a row
        that several partitions make, the version of each part, and zeros for those not there.
    ``time_N``
        timestamp: the event time that was told, null if there was none.
    ``ground_N``
        string: what the online store said, before it was read, of what it holds; see
        :mod:`noskew.answer_log.coverage`.
    """

    service: FeatureService

    @cached_property
    def name(self) -> str:
        """Rows of different definitions, or services, never mix."""
        return answers_table(digest([self.service.name, self.service.definition_hash]))

    @property
    def key(self) -> DefinitionKey:
        """Under which the definition is registered."""
        return DefinitionKey.of(self.service)

    @cached_property
    def keys(self) -> dict[str, str]:
        """Columns of the join keys, by name."""
        return _columns("key", list(self.service.join_keys))

    @cached_property
    def request(self) -> dict[str, str]:
        """Columns of the request fields, by name."""
        return _columns("request", list(self.service.request))

    @cached_property
    def features(self) -> dict[str, str]:
        """Columns of the features, by name."""
        return _columns("feature", [c.name for c in self.service.columns])

    @property
    def views(self) -> list[tuple[str, str, str]]:
        """Columns of the version, the event time and the ground of each view."""
        return [
            (f"version_{i}", f"time_{i}", f"ground_{i}") for i in range(len(self.service.views))
        ]

    @cached_property
    def spec(self) -> TableSpec:
        """The table."""
        fields = [(ENTITY, pa.int64()), (SERVER, pa.string()), (SERIAL, pa.int64())]
        kinds: dict[str, DType] = {c.name: c.dtype for c in self.service.columns}
        fields += [(c, self.service.join_keys[n].to_arrow()) for n, c in self.keys.items()]
        fields += [(c, self.service.request[n].to_arrow()) for n, c in self.request.items()]
        fields += [(c, kinds[n].to_arrow()) for n, c in self.features.items()]
        for version, time, ground in self.views:
            fields += [(version, pa.binary()), (time, pa.timestamp("us", "UTC"))]
            fields.append((ground, pa.string()))
        return TableSpec(self.name, pa.schema(fields), (ENTITY,), 1)

    def definition(self) -> ServedDefinition:
        """What is registered: the service with all that it is made of."""
        definitions = Project.of([self.service]).to_dict()
        return ServedDefinition(self.service.name, self.name, definitions)

    @classmethod
    def of(cls, definition: ServedDefinition) -> ServedTable:
        """The inverse of :meth:`definition`."""
        return cls(Project.from_dict(definition.definitions).service(definition.service))


def _columns(prefix: str, names: list[str]) -> dict[str, str]:
    """No name begins with a digit, so that a number in the place of one too long is none."""
    columns = {name: f"{prefix}_{name}" for name in names}
    return {
        name: column if len(column) <= _MOST_LETTERS else f"{prefix}_{i}"
        for i, (name, column) in enumerate(columns.items())
    }

"""What a registry holds: applied versions of a project, as plain values."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec
import orjson

from noskew.clock import to_text
from noskew.definitions.checked_sql import checker, output_of, remember
from noskew.definitions.decoded import JsonItems
from noskew.definitions.entity import Entity
from noskew.definitions.identity import canonical_json, definition_digest, digest_of
from noskew.definitions.project import Definition, Project
from noskew.definitions.source import Source
from noskew.definitions.view import FeatureView
from noskew.errors import CorruptDataError, DefinitionError

#: Kinds of definitions, in the order of their dependence, and where a Project keeps them.
KINDS: Mapping[str, str] = {
    "entity": "entities",
    "source": "sources",
    "feature_view": "views",
    "on_demand": "on_demand",
    "feature_service": "services",
}
#: The kind under which the ``log_hash`` of a view is recorded beside its ``definition_hash``.
LOG = "log"
#: Kind → name → hash.
Hashes = Mapping[str, Mapping[str, str]]


@dataclass(frozen=True, slots=True)
class Version:
    """An entry of a project's history: who made a version, when (µs), and why."""

    version: int
    applied_at: int
    applied_by: str
    message: str
    digest: str

    def __repr__(self) -> str:
        by = f" by {self.applied_by}" if self.applied_by else ""
        why = f": {self.message}" if self.message else ""
        return f"<Version {self.version}, applied{by} at {to_text(self.applied_at)}{why}>"


@dataclass(frozen=True, slots=True)
class Applied:
    """A version of a project. Version 0 is the empty project that nobody applied.

    ``hashes`` are those of the moment of ``apply``. They may differ from the ones the
    definitions have now, since an engine's major version is part of them; what stores hold was
    made under these. ``entry`` is that of the registry's history; version 0 has none.
    ``outputs``: names and types of what the SELECTs of views give, of those that need not be
    checked again.
    """

    version: int
    project: Project
    hashes: Hashes = field(default_factory=dict)
    entry: Version | None = None
    outputs: Mapping[str, list[list[str]]] = field(default_factory=dict)

    def __repr__(self) -> str:
        at = f" at {to_text(self.entry.applied_at)}" if self.entry else ""
        return f"<Applied version {self.version}{at}: {self.project!r}>"


@dataclass(frozen=True, slots=True)
class StoredDefinition:
    """One definition of the current version, as data, for discovery: nothing is imported."""

    kind: str
    name: str
    definition_hash: str
    data: Mapping[str, Any]


def items_of(project: Project) -> Iterator[tuple[str, str, Definition]]:
    """Every definition as (kind, name, definition), in the order of :data:`KINDS`, then name."""
    for kind, where in KINDS.items():
        items: Mapping[str, Definition] = getattr(project, where)
        for name in sorted(items):
            yield kind, name, items[name]


def hash_of(item: Definition) -> str:
    """The definition hash; of an entity or a source the hash of what can change a value."""
    if isinstance(item, Entity):
        return definition_digest("entity", item.identity())
    if isinstance(item, Source):
        return definition_digest("source", item.identity())
    return item.definition_hash


def make_changed(project: Project, before: Project) -> None:
    """Make the definitions of a project that are not those of ``before``; raises what that does."""
    for where in KINDS.values():
        items, earlier = getattr(project, where), getattr(before, where)
        for name in items:
            if name not in earlier or project.json(where, name) != before.json(where, name):
                _ = items[name]


def remember_checked(applied: Applied) -> None:
    """Take the SELECTs of all views for checked that were, before definitions are loaded anew."""
    project = applied.project
    for name, output in applied.outputs.items():
        data = project.data("views", name)
        remember(data, project.sources[data["source"]], output)


def hashes_of(project: Project) -> dict[str, dict[str, str]]:
    """The hashes that the definitions of a project have now."""
    hashes: dict[str, dict[str, str]] = {kind: {} for kind in (*KINDS, LOG)}
    for kind, name, item in items_of(project):
        hashes[kind][name] = hash_of(item)
        if isinstance(item, FeatureView):
            hashes[LOG][name] = item.log_hash
    return hashes


def encode_project(project: Project) -> tuple[str, str]:
    """The document that a registry keeps (canonical JSON), and its digest."""
    outputs = {name: output_of(view) for name, view in project.views.items()}
    data = {
        "definitions": project.to_dict(),
        "hashes": hashes_of(project),
        "checked": {
            "by": checker(),
            "outputs": {name: output for name, output in outputs.items() if output is not None},
        },
    }
    try:
        document = canonical_json(data)
        return document.decode(), digest_of(document)
    except (TypeError, orjson.JSONEncodeError) as error:
        raise DefinitionError(
            f"the definitions cannot be written as JSON: {error}; descriptions, owners and tags "
            f"must be valid text, and numbers must fit into 64 bits"
        ) from error


def decode_project(
    document: str, version: Version, project: str, *, reuse: Applied | None = None
) -> Applied:
    """The inverse of :func:`encode_project`; functions are named, not imported.

    Definitions are made when they are first asked for; ``reuse``: an earlier version of the
    project, whose definitions are taken where they are the same.

    Raises CorruptDataError if the document is not the one that was written. What is made of it
    raises DefinitionError where today's libraries refuse a definition that was accepted then.
    """
    what = f"version {version.version} of the project {project!r}"
    # Documents are written as canonical JSON, so their bytes are what the digest is of.
    if digest_of(document.encode()) != version.digest:
        raise CorruptDataError(
            f"{what} does not match its digest {version.digest}; restore the registry from a "
            f"backup, or apply the definitions again to a new one"
        )

    def guard(make: Callable[[], Any]) -> Any:
        try:
            return make()
        except DefinitionError as error:
            reason = str(error)
            if reason.startswith(what):  # of a definition that this one refers to
                raise
            raise type(error)(f"{what} can no longer be loaded: {reason}") from error
        except (KeyError, TypeError) as error:
            raise _unreadable(what, error) from error

    earlier = reuse.project if reuse else None
    try:
        data = msgspec.json.decode(document, type=_Document)
        checked = data.checked
        outputs = JsonItems(checked.outputs if checked.by == checker() else {})
        definitions = Project.from_dict(
            data.definitions, reuse=earlier, guard=guard, outputs=outputs
        )
        return Applied(version.version, definitions, data.hashes, version, outputs)
    except (KeyError, TypeError, msgspec.ValidationError) as error:
        raise _unreadable(what, error) from error


class _Checked(msgspec.Struct, frozen=True):
    """What SELECTs give, and the noskew and the DuckDB that checked them."""

    by: Any = None
    outputs: dict[str, msgspec.Raw] = {}


class _Document(msgspec.Struct, frozen=True):
    """What a registry keeps of a version. Of definitions no more is parsed than is asked for."""

    definitions: dict[str, list[msgspec.Raw]]
    hashes: dict[str, dict[str, str]]
    checked: _Checked = _Checked()  # absent in documents of earlier releases


def _unreadable(what: str, error: Exception) -> CorruptDataError:
    return CorruptDataError(
        f"{what} has a form that this version of noskew does not read ({error!r}); use the "
        f"version of noskew that applied it"
    )

"""Everything about one definition, for reading."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from rich.console import RenderableType
from rich.syntax import Syntax
from rich.table import Table
from rich.text import Text

from noskew.cli.render import examples
from noskew.cli.render.certified import certified
from noskew.cli.render.listing import minute
from noskew.cli.render.styled_table import new_table
from noskew.cli.render.timeline import timelines
from noskew.clock import duration_text
from noskew.definitions.entity import Entity
from noskew.definitions.expressions import Expressions
from noskew.definitions.on_demand import OnDemand
from noskew.definitions.outline import services_reading, views_of
from noskew.definitions.project import Definition, Project
from noskew.definitions.service import FeatureService
from noskew.definitions.source import Source
from noskew.definitions.transforms import SqlTransform
from noskew.definitions.view import FeatureView
from noskew.errors import unknown
from noskew.feature_store import FeatureStore
from noskew.registry.lineage import LineageNode, lineage, upstream
from noskew.registry.plan import label
from noskew.registry.versions import KINDS, hash_of


def find_definitions(project: Project, name: str) -> list[tuple[str, Definition]]:
    """The definitions of a name, of whatever kind. Raises NotFoundError if there is none."""
    kinds = {kind: getattr(project, where) for kind, where in KINDS.items()}
    matches = [(kind, items[name]) for kind, items in kinds.items() if name in items]
    if not matches:
        raise unknown("definition", name, {own for items in kinds.values() for own in items})
    return matches


@dataclass(frozen=True)
class _Page:
    """What a page about a definition is written from."""

    store: FeatureStore
    project: Project
    with_events: bool


def describe(
    store: FeatureStore,
    project: Project,
    kind: str,
    item: Definition,
    *,
    with_events: bool = False,
) -> Iterator[RenderableType]:
    """The parts of a page about one definition of what is applied.

    ``with_events``: with the number of events of a view, for which its table is opened.
    """
    page = _Page(store, project, with_events)
    head = Text.assemble((f"{label(kind)} ", "dim"), (item.name, "bold green"))
    yield head
    if item.description:
        yield Text(item.description)
    yield Text()
    facts = {"owner": item.owner, "tags": ", ".join(f"{k}={v}" for k, v in item.tags.items())}
    yield _facts({**_FACTS[type(item)](page, item), **facts, "definition hash": hash_of(item)})
    yield from _BODY[type(item)](page, item)


def _facts(facts: Mapping[str, str]) -> Table:
    table = Table.grid(padding=(0, 2))
    table.add_column(style="dim")
    table.add_column(overflow="fold")
    for name, value in facts.items():
        if value:
            table.add_row(name, value)
    return table


def _typed(items: Iterable[tuple[str, Any]]) -> str:
    return ", ".join(f"{name}: {kind}" for name, kind in items)


def _entity_facts(page: _Page, item: Entity) -> dict[str, str]:
    return {
        "join keys": _typed(item.keys.items()),
        "views": ", ".join(views_of(page.project, "entity", item.name)),
    }


def _source_facts(page: _Page, item: Source) -> dict[str, str]:
    views = views_of(page.project, "source", item.name)
    return {
        "event time": f"{item.event_time} (when it happened)",
        "known time": f"{item.created} (when it could be known)"
        if item.created
        else "when it was loaded",
        "event id": item.event_id or "",
        "changes": item.changes or "",
        "cursor": item.cursor or "",
        "filter": item.filter or "",
        "in the data": ", ".join(f"{name}: {theirs!r}" for name, theirs in item.columns.items()),
        "batch": _connector(item.batch),
        "stream": _connector(item.stream),
        "quarantine": f"events over {duration_text(item.max_future)} ahead of their known time",
        "views": ", ".join(views),
    }


def _connector(connector: Any) -> str:
    if connector is None:
        return ""
    return f"{connector.kind} " + ", ".join(f"{k}={v!r}" for k, v in connector.shown().items())


def _view_facts(page: _Page, item: FeatureView) -> dict[str, str]:
    until = page.store.materialized_until(item)
    services = services_reading(page.project, item.name)
    return {
        "entity": f"{item.entity.name} ({_typed(item.entity.keys.items())})",
        "source": item.source.name,
        "events": f"{page.store.count_events(item) or 0:,} offline" if page.with_events else "",
        "online": (f"facts known by {minute(until)}" if until else "not materialized yet")
        if item.online
        else "no",
        "freshness": duration_text(item.freshness) if item.freshness is not None else "",
        "services": ", ".join(services),
    }


def _computed_by(item: OnDemand) -> dict[str, str]:
    function = item.function
    if not isinstance(function, Expressions):
        return {"function": item.title, "source digest": function.digest}
    shown = {f"{name} is": text for name, text in function.texts}
    for (name, _), sql in zip(function.texts, function.statements, strict=False):
        shown[f"{name} in DuckDB"] = sql
    return {**shown, "engine": function.engine}


def _on_demand_facts(page: _Page, item: OnDemand) -> dict[str, str]:
    del page
    return {
        **_computed_by(item),
        "stored inputs": ", ".join(f"{s.view.name}.{n}" for s in item.inputs for n in s.names),
        "request fields": _typed(item.request.items()),
        "makes": _typed(item.outputs.items()),
    }


def _service_facts(page: _Page, item: FeatureService) -> dict[str, str]:
    del page
    return {
        "join keys": _typed(item.join_keys.items()),
        "request fields": _typed(item.request.items()),
        "views": ", ".join(v.name for v in item.views),
    }


def _nothing(page: _Page, item: Any) -> Iterator[RenderableType]:
    del page, item
    yield from ()


def _source_body(page: _Page, item: Source) -> Iterator[RenderableType]:
    del page
    table = new_table("Columns", "column", "type", "role")
    roles = {item.event_time: "event time", item.created: "known time", item.event_id: "event id"}
    for name, kind in item.schema.items():
        table.add_row(name, str(kind), roles.get(name, ""))
    yield table


def _view_body(page: _Page, item: FeatureView) -> Iterator[RenderableType]:
    table = new_table("Features", "feature", "type", "is", "made of")
    edges = lineage(Project.of(item))
    for feature in item.features.values():
        origins = upstream(edges, LineageNode("feature", item.name, feature.name))
        direct = {
            e.origin.name
            for e in edges
            if e.role in ("value", "filter")
            and e.target == LineageNode("feature", item.name, feature.name)
        }
        columns = sorted(n.name for n in origins if n.kind == "column" and n.name in direct)
        table.add_row(feature.name, str(feature.dtype), feature.describe(), ", ".join(columns))
    yield table
    yield windows(item)
    certificate = page.store.certifications.of(item)
    exempt = page.store.certifications.exempt().get(item.definition_hash)
    yield Text.assemble("Certificate: ", certified(certificate, exempt), "\n")
    if isinstance(item.transform, SqlTransform):
        yield Text(f"Transform: {item.transform.title}", style="bold")
        yield Syntax(item.transform.statement, "sql", background_color="default", word_wrap=True)
    elif item.transform is not None:
        yield Text(f"Transform: {item.transform.title}\n")


def windows(item: FeatureView) -> Table:
    """What each feature looks back on, drawn."""
    table = Table.grid(padding=(0, 2))
    table.title, table.title_justify, table.title_style = "Windows", "left", "bold"
    table.add_column(no_wrap=True)
    table.add_column(style="cyan", no_wrap=True, justify="right")
    table.add_column(style="dim")
    table.add_row("", Text("the time asked for, t", style="dim"), "")
    for name, line, note in timelines(list(item.features.values())):
        table.add_row(name, line, note)
    return table


def _service_body(page: _Page, item: FeatureService) -> Iterator[RenderableType]:
    edges = lineage(Project.of(item))
    table = new_table("Features", "feature", "type", "is", "from", "made of")
    for c in item.columns:
        node = LineageNode("service", item.name, c.name)
        origins = {n for n in upstream(edges, node) if n.kind in ("column", "request")}
        sources = sorted({n.owner if n.kind == "column" else "the request" for n in origins})
        is_what = (
            c.origin.features[c.feature].describe()
            if c.is_stored
            else f"computed by {c.origin.title}"
        )
        table.add_row(c.name, str(c.dtype), is_what, c.origin.name, ", ".join(sources))
    yield table
    yield Text("Use it", style="bold")
    for language, code in examples.of_service(item, page.store.config.serve.port):
        yield Syntax(code, language, background_color="default", word_wrap=True)
        yield Text()


_FACTS: Mapping[type, Any] = {
    Entity: _entity_facts,
    Source: _source_facts,
    FeatureView: _view_facts,
    OnDemand: _on_demand_facts,
    FeatureService: _service_facts,
}
_BODY: Mapping[type, Any] = {
    Entity: _nothing,
    Source: _source_body,
    FeatureView: _view_body,
    OnDemand: _nothing,
    FeatureService: _service_body,
}

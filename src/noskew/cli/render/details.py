"""Everything about one definition, for reading."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from rich.console import RenderableType
from rich.syntax import Syntax
from rich.table import Table
from rich.text import Text

from noskew.cli.render import examples
from noskew.cli.render.certified import certified
from noskew.cli.render.listing import entity_views, minute, new_table
from noskew.cli.render.timeline import timelines
from noskew.cli.totals import count_events
from noskew.clock import duration_text
from noskew.definitions.entity import Entity
from noskew.definitions.expressions import Expressions
from noskew.definitions.on_demand import OnDemand
from noskew.definitions.project import Definition, Project
from noskew.definitions.service import FeatureService
from noskew.definitions.source import Source
from noskew.definitions.transforms import SqlTransform
from noskew.definitions.view import FeatureView
from noskew.errors import unknown
from noskew.feature_store import FeatureStore
from noskew.registry.lineage import LineageNode, lineage, upstream
from noskew.registry.plan import label
from noskew.registry.versions import hash_of, items_of


def find_definitions(project: Project, name: str) -> list[tuple[str, Definition]]:
    """The definitions of a name, of whatever kind. Raises NotFoundError if there is none."""
    items = list(items_of(project))
    found = [(kind, item) for kind, own, item in items if own == name]
    if not found:
        raise unknown("definition", name, {own for _, own, _ in items})
    return found


def describe(store: FeatureStore, kind: str, item: Definition) -> Iterator[RenderableType]:
    """The parts of a page about one definition."""
    head = Text.assemble((f"{label(kind)} ", "dim"), (item.name, "bold green"))
    yield head
    if item.description:
        yield Text(item.description)
    yield Text()
    facts = {"owner": item.owner, "tags": ", ".join(f"{k}={v}" for k, v in item.tags.items())}
    yield _facts({**_FACTS[type(item)](store, item), **facts, "definition hash": hash_of(item)})
    yield from _BODY[type(item)](store, item)


def _facts(facts: Mapping[str, str]) -> Table:
    made = Table.grid(padding=(0, 2))
    made.add_column(style="dim")
    made.add_column(overflow="fold")
    for name, value in facts.items():
        if value:
            made.add_row(name, value)
    return made


def _typed(items: Iterable[tuple[str, Any]]) -> str:
    return ", ".join(f"{name}: {kind}" for name, kind in items)


def _entity_facts(store: FeatureStore, item: Entity) -> dict[str, str]:
    return {
        "join keys": _typed(item.keys.items()),
        "views": ", ".join(entity_views(store.applied.project, item.name)),
    }


def _source_facts(store: FeatureStore, item: Source) -> dict[str, str]:
    views = [v.name for v in store.applied.project.views.values() if v.source.name == item.name]
    return {
        "event time": f"{item.event_time} (when it happened)",
        "known time": f"{item.created} (when it could be known)"
        if item.created
        else "when it was loaded",
        "event id": item.event_id or "",
        "filter": item.filter or "",
        "batch": _connector(item.batch),
        "stream": _connector(item.stream),
        "quarantine": f"events over {duration_text(item.max_future)} ahead of their known time",
        "views": ", ".join(views),
    }


def _connector(connector: Any) -> str:
    if connector is None:
        return ""
    return f"{connector.kind} " + ", ".join(f"{k}={v!r}" for k, v in connector.shown().items())


def _view_facts(store: FeatureStore, item: FeatureView) -> dict[str, str]:
    until = store.materialized_until(item)
    services = [s.name for s in store.applied.project.services.values() if item in s.views]
    return {
        "entity": f"{item.entity.name} ({_typed(item.entity.keys.items())})",
        "source": item.source.name,
        "events": f"{count_events(store, item):,} offline",
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


def _on_demand_facts(store: FeatureStore, item: OnDemand) -> dict[str, str]:
    del store
    return {
        **_computed_by(item),
        "stored inputs": ", ".join(f"{s.view.name}.{n}" for s in item.inputs for n in s.names),
        "request fields": _typed(item.request.items()),
        "makes": _typed(item.outputs.items()),
    }


def _service_facts(store: FeatureStore, item: FeatureService) -> dict[str, str]:
    del store
    return {
        "join keys": _typed(item.join_keys.items()),
        "request fields": _typed(item.request.items()),
        "views": ", ".join(v.name for v in item.views),
    }


def _nothing(store: FeatureStore, item: Any) -> Iterator[RenderableType]:
    del store, item
    yield from ()


def _source_body(store: FeatureStore, item: Source) -> Iterator[RenderableType]:
    del store
    made = new_table("Columns", "column", "type", "role")
    roles = {item.event_time: "event time", item.created: "known time", item.event_id: "event id"}
    for name, kind in item.schema.items():
        made.add_row(name, str(kind), roles.get(name, ""))
    yield made


def _view_body(store: FeatureStore, item: FeatureView) -> Iterator[RenderableType]:
    made = new_table("Features", "feature", "type", "is", "made of")
    edges = lineage(store.applied.project)
    for feature in item.features.values():
        origins = upstream(edges, LineageNode("feature", item.name, feature.name))
        direct = {
            e.origin.name
            for e in edges
            if e.role in ("value", "filter")
            and e.target == LineageNode("feature", item.name, feature.name)
        }
        columns = sorted(n.name for n in origins if n.kind == "column" and n.name in direct)
        made.add_row(feature.name, str(feature.dtype), feature.describe(), ", ".join(columns))
    yield made
    yield windows(item)
    held = store.certifications.of(item)
    exempt = store.certifications.exempt().get(item.definition_hash)
    yield Text.assemble("Certificate: ", certified(held, exempt), "\n")
    if isinstance(item.transform, SqlTransform):
        yield Text(f"Transform: {item.transform.title}", style="bold")
        yield Syntax(item.transform.statement, "sql", background_color="default", word_wrap=True)
    elif item.transform is not None:
        yield Text(f"Transform: {item.transform.title}\n")


def windows(item: FeatureView) -> Table:
    """What each feature looks back on, drawn."""
    made = Table.grid(padding=(0, 2))
    made.title, made.title_justify, made.title_style = "Windows", "left", "bold"
    made.add_column(no_wrap=True)
    made.add_column(style="cyan", no_wrap=True, justify="right")
    made.add_column(style="dim")
    made.add_row("", Text("the time asked for, t", style="dim"), "")
    for name, line, note in timelines(list(item.features.values())):
        made.add_row(name, line, note)
    return made


def _service_body(store: FeatureStore, item: FeatureService) -> Iterator[RenderableType]:
    edges = lineage(store.applied.project)
    made = new_table("Features", "feature", "type", "is", "from", "made of")
    for c in item.columns:
        node = LineageNode("service", item.name, c.name)
        origins = {n for n in upstream(edges, node) if n.kind in ("column", "request")}
        sources = sorted({n.owner if n.kind == "column" else "the request" for n in origins})
        is_what = (
            c.origin.features[c.feature].describe()
            if c.is_stored
            else f"computed by {c.origin.title}"
        )
        made.add_row(c.name, str(c.dtype), is_what, c.origin.name, ", ".join(sources))
    yield made
    yield Text("Use it", style="bold")
    for language, code in examples.of_service(item, store.config.serve.port):
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

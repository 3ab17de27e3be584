"""Tables of what is applied: services, views, sources, entities, on-demand functions, versions."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from rich.table import Table

from noskew.addresses import record_key
from noskew.cli.render.certified import certificate_sign
from noskew.cli.render.styled_table import new_table
from noskew.clock import to_datetime
from noskew.definitions.outline import ServiceOutline, ViewOutline, views_of
from noskew.definitions.project import Project
from noskew.feature_store import FeatureStore
from noskew.registry.records.keys import DefinitionKey
from noskew.registry.records.kinds import MATERIALIZED
from noskew.registry.versions import Applied

KINDS = ("services", "views", "sources", "entities", "on-demand", "versions", "ingests")


def tables(
    store: FeatureStore, applied: Applied, kind: str | None, *, with_events: bool = False
) -> Iterator[Table]:
    """The table of one kind, also if it is empty; else of all kinds of definitions that there are.

    ``with_events``: with the number of events of each view, for which its table is opened.
    """
    if kind == "versions":
        yield versions_table(store)
        return
    if kind == "ingests":
        yield ingests_table(store)
        return
    project = applied.project
    makers: dict[str, Callable[[], Table]] = {
        "services": lambda: services_table(project),
        "views": lambda: views_table(store, applied, with_events),
        "sources": lambda: sources_table(project),
        "entities": lambda: entities_table(project),
        "on-demand": lambda: on_demand_table(project),
    }
    for name, make in makers.items():
        if kind in (None, name) and ((table := make()).row_count or kind is not None):
            yield table


def services_table(project: Project) -> Table:
    table = new_table(
        "Feature services",
        "service",
        "owner",
        "features",
        "keys",
        "asks for",
        "about",
        numbers=("features",),
    )
    for s in (ServiceOutline.of(project, name) for name in project.services):
        table.add_row(
            s.name,
            s.owner,
            str(s.features),
            ", ".join(s.join_keys),
            ", ".join(s.request),
            s.description,
        )
    return table


def views_table(store: FeatureStore, applied: Applied, with_events: bool) -> Table:
    """The views; with a column of certificates only if one of them has none that is good."""
    project, hashes = applied.project, applied.hashes.get("feature_view", {})
    kept = store.certifications.all()
    certificates = {name: kept.get(hashes[name]) for name in project.views}
    is_certified = all(c is not None and c.is_equal for c in certificates.values())
    runs = {r.key: r.value for r in store.registry.records(store.config.project, MATERIALIZED)}
    columns = ["view", "entity", "source", "owner", "features"]
    columns += ["events"] * with_events + ["online until"] + ["✓"] * (not is_certified)
    table = new_table("Feature views", *columns, numbers=("features", "events"))
    for v in (ViewOutline.of(project, name) for name in project.views):
        cells = [v.name, v.entity, v.source, v.owner, str(v.features)]
        if with_events:
            events = store.count_events(project.views[v.name])
            cells.append(f"{events:,}" if events else "none yet")
        run = runs.get(DefinitionKey(record_key(v.name, hashes[v.name])))
        cells.append("not online" if not v.online else minute(run.until) if run else "never")
        table.add_row(*cells, *([] if is_certified else [certificate_sign(certificates[v.name])]))
    return table


def sources_table(project: Project) -> Table:
    table = new_table(
        "Sources",
        "source",
        "owner",
        "happened",
        "known",
        "columns",
        "batch",
        "stream",
        numbers=("columns",),
    )
    for s in project.sources.values():
        table.add_row(
            s.name,
            s.owner,
            s.event_time,
            s.created or "when loaded",
            str(len(s.schema)),
            s.batch.kind if s.batch else "",
            s.stream.kind if s.stream else "",
        )
    return table


def entities_table(project: Project) -> Table:
    table = new_table("Entities", "entity", "keys", "owner", "views", "about")
    for e in project.entities.values():
        keys = ", ".join(f"{k}: {t}" for k, t in e.keys.items())
        table.add_row(
            e.name, keys, e.owner, ", ".join(views_of(project, "entity", e.name)), e.description
        )
    return table


def on_demand_table(project: Project) -> Table:
    table = new_table("On-demand functions", "name", "owner", "makes", "of", "function")
    for f in project.on_demand.values():
        inputs = [n for s in f.inputs for n in s.names] + list(f.request)
        table.add_row(f.name, f.owner, ", ".join(f.outputs), ", ".join(inputs), f.title)
    return table


def versions_table(store: FeatureStore) -> Table:
    table = new_table("Versions", "version", "applied", "by", "message", numbers=("version",))
    for v in store.registry.history(store.config.project):
        table.add_row(str(v.version), minute(v.applied_at), v.applied_by, v.message)
    return table


def ingests_table(store: FeatureStore) -> Table:
    """The runs of ingest; numbers are sums over the offline tables that they filled."""
    numbers = ("new", "known", "taken back", "left out")
    table = new_table("Ingests", "id", "started", "source", *numbers, "state", numbers=numbers)
    for run, made in store.ingests().items():
        total = made.total
        sums = [
            total.rows,
            total.known + total.known_by_id,
            total.retracted,
            sum(total.refused.values()),
        ]
        state = "done" if made.ended else "not ended"
        state = f"undone {minute(made.undone)}" if made.undone else state
        cells = (f"{n:,}" if n else "" for n in sums)
        table.add_row(run, minute(made.started), made.source or "all", *cells, state)
    return table


def minute(micros: int) -> str:
    """A time, to the minute: ``2013-12-01 12:00 UTC``."""
    return f"{to_datetime(micros):%Y-%m-%d %H:%M} UTC"

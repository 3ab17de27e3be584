"""Tables of what is applied: services, views, sources, entities, on-demand functions, versions."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from rich import box
from rich.table import Table

from noskew.cli.render.certified import certificate_sign
from noskew.cli.totals import count_events
from noskew.clock import to_datetime
from noskew.definitions.project import Project
from noskew.feature_store import FeatureStore


def new_table(title: str, *columns: str, numbers: tuple[str, ...] = ()) -> Table:
    """An empty table in the style of this command line; ``numbers`` are set to the right."""
    made = Table(
        title=title, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD, pad_edge=False
    )
    for column in columns:
        right = column in numbers
        made.add_column(column, justify="right" if right else "left", no_wrap=right)
    made.columns[0].style = "bold"
    return made


def services(store: FeatureStore) -> Table:
    made = new_table(
        "Feature services",
        "service",
        "owner",
        "features",
        "keys",
        "asks for",
        "about",
        numbers=("features",),
    )
    for s in store.applied.project.services.values():
        made.add_row(
            s.name,
            s.owner,
            str(len(s.columns)),
            ", ".join(s.join_keys),
            ", ".join(s.request),
            s.description,
        )
    return made


def views(store: FeatureStore) -> Table:
    """The views; with a column of certificates only if one of them has none that is good."""
    found, held = store.applied.project.views.values(), store.certifications.all()
    certificates = [held.get(v.definition_hash) for v in found]
    is_told = any(c is None or not c.is_equal for c in certificates)
    made = new_table(
        "Feature views",
        "view",
        "entity",
        "source",
        "owner",
        "features",
        "events",
        "online until",
        numbers=("features", "events"),
    )
    if is_told:
        made.add_column("✓")
    for v, certificate in zip(found, certificates, strict=True):
        events = count_events(store, v)
        done = store.materialized_until(v) if v.online else None
        until = "not online" if not v.online else minute(done) if done else "never"
        made.add_row(
            v.name,
            v.entity.name,
            v.source.name,
            v.owner,
            str(len(v.features)),
            f"{events:,}" if events else "none yet",
            until,
            *([certificate_sign(certificate)] if is_told else []),
        )
    return made


def sources(store: FeatureStore) -> Table:
    made = new_table(
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
    for s in store.applied.project.sources.values():
        made.add_row(
            s.name,
            s.owner,
            s.event_time,
            s.created or "when loaded",
            str(len(s.schema)),
            s.batch.kind if s.batch else "",
            s.stream.kind if s.stream else "",
        )
    return made


def entities(store: FeatureStore) -> Table:
    project = store.applied.project
    made = new_table("Entities", "entity", "keys", "owner", "views", "about")
    for e in project.entities.values():
        keys = ", ".join(f"{k}: {t}" for k, t in e.keys.items())
        made.add_row(e.name, keys, e.owner, ", ".join(entity_views(project, e.name)), e.description)
    return made


def on_demand(store: FeatureStore) -> Table:
    made = new_table("On-demand functions", "name", "owner", "makes", "of", "function")
    for f in store.applied.project.on_demand.values():
        inputs = [n for s in f.inputs for n in s.names] + list(f.request)
        made.add_row(f.name, f.owner, ", ".join(f.outputs), ", ".join(inputs), f.title)
    return made


def versions(store: FeatureStore) -> Table:
    made = new_table("Versions", "version", "applied", "by", "message", numbers=("version",))
    for v in store.registry.history(store.config.project):
        made.add_row(str(v.version), minute(v.applied_at), v.applied_by, v.message)
    return made


TABLES: Mapping[str, Callable[[FeatureStore], Table]] = {
    "services": services,
    "views": views,
    "sources": sources,
    "entities": entities,
    "on-demand": on_demand,
    "versions": versions,
}


def entity_views(project: Project, entity: str) -> list[str]:
    """The views that describe an entity."""
    return [v.name for v in project.views.values() if v.entity.name == entity]


def minute(micros: int) -> str:
    """A time, to the minute: ``2013-12-01 12:00 UTC``."""
    return f"{to_datetime(micros):%Y-%m-%d %H:%M} UTC"

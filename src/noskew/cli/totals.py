"""How many rows a piece of work is about, as far as that is cheap to know."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from noskew.definitions.connectors import Connector, Parquet

if TYPE_CHECKING:
    from noskew.definitions.view import FeatureView
    from noskew.feature_store import FeatureStore


def of_ingest(store: FeatureStore, source: str | None) -> dict[str, int | None]:
    """Rows of the source of each offline table that an ingest fills, under a view's name."""
    found: dict[str, int | None] = {}
    seen: set[str] = set()
    for view in store.applied.project.views.values():
        chosen = view.source.name == source if source else view.source.batch is not None
        if chosen and view.log_hash not in seen:
            found[view.name] = rows_of(view.source.batch, store.root)
        seen.add(view.log_hash)
    return found


def of_materialize(store: FeatureStore, names: list[str] | None) -> dict[str, int | None]:
    """Rows of the offline table of each view that is materialized."""
    project = store.applied.project
    views = [project.view(n) for n in names] if names else list(project.views.values())
    return {v.name: events_of(store, v) for v in views if v.online}


def events_of(store: FeatureStore, view: FeatureView) -> int:
    """Rows of a view's offline table; 0 if there is none."""
    from noskew.training.tables import has_table, table_name

    return store.offline.info(table_name(view)).rows if has_table(store.offline, view) else 0


def rows_of(connector: Connector | None, root: Path) -> int | None:
    """Rows of a Parquet source, read from footers; None for any other."""
    if not isinstance(connector, Parquet):
        return None
    import pyarrow.parquet as pq

    from noskew.stores.sources.paths import find_files

    try:
        files = find_files(str(root / connector.path), (".parquet", ".pq"))
        return sum(int(pq.read_metadata(file).num_rows) for file in files)
    except Exception:  # noqa: BLE001 - a bar without an end is fine; ingest itself names what is wrong
        return None

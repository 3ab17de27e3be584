"""How many rows a piece of work is about, as far as that is cheap to know."""

from __future__ import annotations

from pathlib import Path

from noskew.definitions.connectors import Connector, Parquet
from noskew.feature_store import FeatureStore
from noskew.intake.tables import one_per_log
from noskew.stores.sources.paths import find_files
from noskew.training.ingest import views_to_ingest


def of_ingest(store: FeatureStore, source: str | None) -> dict[str, int | None]:
    """Rows of the source of each offline table that an ingest fills, under a view's name."""
    views = views_to_ingest(store.applied.project, source)
    return {v.name: rows_of(v.source.batch, store.root) for v in views}


def of_materialize(store: FeatureStore, names: list[str] | None) -> dict[str, int | None]:
    """Rows of the offline table of each view that is materialized."""
    views = store.applied.project.chosen(names)
    return {v.name: store.count_events(v) or 0 for v in views if v.online}


def of_compact(store: FeatureStore, names: list[str] | None) -> dict[str, int | None]:
    """Rows of each offline table that is compacted, under a view's name."""
    views = one_per_log(store.applied.project.chosen(names))
    return {v.name: rows for v in views if (rows := store.count_events(v))}


def rows_of(connector: Connector | None, root: Path) -> int | None:
    """Rows of a Parquet source, read from footers; None for any other."""
    if not isinstance(connector, Parquet):
        return None
    import pyarrow.parquet as pq

    try:
        files = find_files(str(root / connector.path), (".parquet", ".pq"))
        return sum(int(pq.read_metadata(file).num_rows) for file in files)
    except Exception:  # noqa: BLE001 - a bar without an end is fine; ingest itself names what is wrong
        return None

"""The same views over the same events as a batch: what a stream is compared with."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import pyarrow as pa

from noskew.clock import FixedClock
from noskew.definitions.service import FeatureService
from noskew.definitions.source import Source
from noskew.definitions.view import FeatureView
from noskew.feature_store import FeatureStore


def batch_twin(view: FeatureView, known: str) -> FeatureView:
    """The view over a source that differs in one thing: not a log but the column ``known`` says
    when an event became known.
    """
    streamed = view.source
    source = Source(
        streamed.name,
        {**streamed.schema, known: "timestamp"},
        event_time=streamed.event_time,
        created=known,
        event_id=streamed.event_id,
        event_id_horizon=streamed.event_id_horizon,
        filter=streamed.filter,
        max_future=streamed.max_future,
    )
    return FeatureView.from_dict(view.to_dict(), entity=view.entity, source=source)


def made_in_batch(
    root: Path,
    views: Iterable[FeatureView],
    events: Mapping[str, pa.Table],
    moments: Sequence[tuple[int, Mapping[str, pa.Table]]],
    known: str,
) -> dict[str, pa.Table]:
    """What a project in ``root`` serves that ingests the events and materializes up to moments.

    ``moments``: in order, each a time (µs) and the entities to read then, by view. Returns the
    answers by view, those of the first moment first.
    """
    twins = [batch_twin(v, known) for v in views]
    services = {v.name: FeatureService(f"all_{v.name}", [v]) for v in twins}
    clock = FixedClock(moments[-1][0])
    served: dict[str, list[pa.Table]] = {name: [] for name in services}
    with FeatureStore(root, project="batch", clock=clock) as store:
        store.apply(list(services.values()))
        for name, rows in events.items():
            store.ingest(name, rows)
        for t, entities in moments:
            clock.set(t)
            store.materialize()
            for name, service in services.items():
                served[name].append(store.get_online_features(service, entities[name]).to_arrow())
    return {name: pa.concat_tables(tables) for name, tables in served.items()}

"""Streams: the processors of a project's streaming sources."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import Event

from noskew.clock import Clock
from noskew.definitions.source import Source
from noskew.definitions.view import FeatureView
from noskew.errors import ConfigError, DefinitionError
from noskew.intake.logs import Logs
from noskew.stores.offline.base import OfflineStore, TableSpec
from noskew.stores.online.base import OnlineStore
from noskew.streaming.archiving import Archiving
from noskew.streaming.processor import Processor, Watcher


@dataclass(frozen=True)
class Streams:
    """What a project keeps of its streams, under one directory."""

    project: str
    directory: Path
    clock: Clock
    logs: Logs

    def processor(
        self,
        source: Source,
        views: Iterable[FeatureView],
        online: OnlineStore,
        *,
        partitions: Sequence[int] | None = None,
    ) -> Processor:
        """The processor of the online views of a source.

        Raises DefinitionError for a view whose entity does not stay in one partition.
        """
        mine = [v for v in fed_by(source, views) if v.online]
        if not mine:
            raise ConfigError(f"no view is made online from the source {source.name!r}")
        log = self.logs.of(source)
        for view in mine:
            _check_key(view, source, log.partitions)
        return Processor(
            source, mine, log, online, project=self.project, clock=self.clock,
            directory=self.directory / "state" / source.name, partitions=partitions,
        )  # fmt: skip

    def run(
        self,
        source: Source,
        views: Iterable[FeatureView],
        online: OnlineStore,
        offline: OfflineStore,
        *,
        spec_of: Callable[[FeatureView], TableSpec],
        stop: Event | None,
        progress: Watcher | None = None,
    ) -> None:
        """Process and archive a source until ``stop`` is set; None: until both are caught up."""
        mine = fed_by(source, views)
        with (
            self.processor(source, mine, online) as processor,
            Archiving(
                source, mine, self.logs.of(source), offline,
                directory=self.directory / "archive" / source.name, spec_of=spec_of,
            ) as archiving,
        ):  # fmt: skip
            processor.run(stop or Event(), until_caught_up=stop is None, told=progress)
            archiving.catch_up()


def fed_by(source: Source, views: Iterable[FeatureView]) -> list[FeatureView]:
    """The views of a source."""
    return [v for v in views if v.source.name == source.name]


def _check_key(view: FeatureView, source: Source, partitions: int) -> None:
    """An entity's events must be in one partition, or its row would be made of a part of them."""
    assert source.stream is not None
    if partitions > 1 and set(source.stream.key) != set(view.entity.keys):
        raise DefinitionError(
            f"feature view {view.name!r}: its entity {view.entity.name!r} has the keys "
            f"{', '.join(view.entity.keys)}, and the {partitions} partitions of the source "
            f"{source.name!r} are by {', '.join(source.stream.key) or 'no declared key'}; declare "
            f"key=[…] in its stream, or stream the view from a log with one partition"
        )

"""Which runner does a piece of work: the one asked for, else that of what came, else the usual."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from noskew.config import Config
from noskew.errors import RunnerError
from noskew.resources import Closing
from noskew.runners.base import Runner
from noskew.runners.opening import IN_PROCESS, open_runner
from noskew.runners.spark.runner import SparkRunner
from noskew.runners.spark.session import is_frame
from noskew.training.spark.task_project import RunnerProject, SparkProject


@dataclass
class Runners(Closing):
    """The runners of a project, each opened when it is first needed."""

    config: Config
    root: Path
    _opened: dict[str, Runner] = field(default_factory=dict, init=False)

    def project(self, name: str | None, given: Any = None) -> RunnerProject | None:
        """The project on the runner that is to do the work; None: this process does.

        ``name``: as ``runner`` of the configuration; by default Spark if ``given`` is a Spark
        DataFrame, else what the configuration says. Raises InputError for a name that no runner
        has, MissingExtraError and RunnerError if it cannot be started.
        """
        if name == IN_PROCESS:
            return None
        if is_frame(given):
            return SparkProject(SparkRunner(given.sparkSession), self.config, self.root)
        name = name or self.config.runner
        return None if name == IN_PROCESS else self._on(name)

    def spark(self) -> SparkProject:
        """The project on Spark, whatever the usual runner is."""
        project = self._on("spark")
        assert isinstance(project, SparkProject)
        return project

    def _on(self, name: str) -> RunnerProject:
        runner = self._opened.get(name)
        if runner is None or runner.is_stopped:
            runner = self._opened[name] = open_runner(replace(self.config, runner=name))
        if isinstance(runner, SparkRunner):
            return SparkProject(runner, self.config, self.root)
        if not isinstance(runner, Runner):
            raise RunnerError(f"what opens the runner {name!r} gave {runner!r}, which is none")
        return RunnerProject(runner, self.config, self.root)

    def close(self) -> None:
        """Close what was opened here."""
        while self._opened:
            self._opened.popitem()[1].close()

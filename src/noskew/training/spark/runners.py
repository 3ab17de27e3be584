"""Which runner does a piece of work: the one asked for, else that of what came, else the usual."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from noskew.config import RUNNERS, Config
from noskew.errors import InputError, nearest
from noskew.resources import Closing
from noskew.runners.spark.runner import SparkRunner
from noskew.runners.spark.session import is_frame
from noskew.training.spark.task_project import SparkProject


@dataclass
class Runners(Closing):
    """The runners of a project. Spark is started when it is first needed."""

    config: Config
    root: Path
    _opened: SparkRunner | None = field(default=None, init=False)

    def spark(self, name: str | None, given: Any = None) -> SparkProject | None:
        """Spark, if it is to do the work; None: this process does.

        ``name``: ``"spark"`` or ``"in_process"``; by default Spark if ``given`` is a Spark
        DataFrame, else what the configuration says. Raises InputError for another name,
        MissingExtraError and RunnerError if Spark cannot be started.
        """
        if name is not None and name not in RUNNERS:
            raise InputError(f"no runner {name!r}; {nearest(name, RUNNERS)}")
        if name == "in_process":
            return None
        if is_frame(given):
            return SparkProject(SparkRunner(given.sparkSession), self.config, self.root)
        if (name or self.config.runner) == "in_process":
            return None
        if self._opened is None or self._opened.is_stopped:
            settings = self.config.spark
            self._opened = SparkRunner.open(settings.master, settings.conf)
        return SparkProject(self._opened, self.config, self.root)

    def close(self) -> None:
        """Stop the session of Spark, if it was started here."""
        if self._opened is not None:
            self._opened.close()
            self._opened = None

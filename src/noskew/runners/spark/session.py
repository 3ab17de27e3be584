"""Sessions of Spark: the one that is there, or one made from the configuration."""

from __future__ import annotations

import os
import shutil
import sys
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeGuard

from noskew.errors import RunnerError, missing_extra

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

_PYTHON = "PYSPARK_PYTHON"
_JAVA = (
    "Spark needs Java 17 or later: install it (on Debian or Ubuntu: apt-get install "
    "openjdk-17-jre-headless), or set JAVA_HOME to where it is"
)
#: Settings of a session of our own; those of the configuration come on top.
_SETTINGS = {
    "spark.app.name": "noskew",
    "spark.log.level": "ERROR",
    "spark.ui.enabled": "false",
    "spark.ui.showConsoleProgress": "false",
    "spark.sql.session.timeZone": "UTC",
    # A task of nothing takes 45 ms that way, and 60 by TCP.
    "spark.python.unix.domain.socket.enabled": "true",
    # A training set that is asked for in this process is as large as it is.
    "spark.driver.maxResultSize": "0",
    # Each batch costs a round between Java and Python.
    "spark.sql.execution.arrow.maxRecordsPerBatch": "65536",
}
_LOCAL = {"spark.driver.host": "127.0.0.1", "spark.driver.bindAddress": "127.0.0.1"}


def is_frame(given: Any) -> TypeGuard[DataFrame]:
    """Whether something is a Spark DataFrame. Spark is not imported to find out."""
    loaded = sys.modules.get("pyspark.sql")
    return loaded is not None and isinstance(given, loaded.DataFrame)


def active_session() -> SparkSession | None:
    """The session that this process uses already."""
    loaded = sys.modules.get("pyspark.sql")
    if loaded is None:
        return None
    session: SparkSession | None = loaded.SparkSession.getActiveSession()
    return session


def make_session(master: str, settings: Mapping[str, str]) -> SparkSession:
    """A new session; whoever made it stops it.

    Raises MissingExtraError without pyspark, and RunnerError if there is no Java or if Spark does
    not start.
    """
    try:
        from pyspark.errors import PySparkException
        from pyspark.sql import SparkSession
    except ImportError as error:
        raise missing_extra("pyspark", "spark", "the Spark runner") from error
    _check_java()
    wanted = {**_SETTINGS, **(_LOCAL if master.startswith("local") else {}), **settings}
    builder = SparkSession.builder.master(master)
    for name, value in wanted.items():
        builder = builder.config(name, value)
    with _same_python(settings.get("spark.pyspark.python", sys.executable)), no_pandas_advice():
        try:
            return builder.getOrCreate()
        except PySparkException as error:
            raise RunnerError(f"Spark does not start with master {master!r}: {error}") from error
        except Exception as error:  # the gateway to Java raises what Python and Java have
            raise RunnerError(
                f"Spark does not start with master {master!r}: {error}. {_JAVA}"
            ) from error


@contextmanager
def no_pandas_advice() -> Iterator[None]:
    """Keep pyspark from advice about a version of pandas, which nothing here uses."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "PySpark does not yet fully support pandas")
        yield


def _check_java() -> None:
    home = os.environ.get("JAVA_HOME")
    java = shutil.which("java", path=str(Path(home) / "bin") if home else None)
    if java is None:
        place = f"no java in JAVA_HOME, {home!r}" if home else "no java on the PATH"
        raise RunnerError(f"there is {place}. {_JAVA}")


@contextmanager
def _same_python(python: str) -> Iterator[None]:
    """Have Spark start ``python`` for its tasks, unless the environment names another."""
    if _PYTHON in os.environ:
        yield
        return
    os.environ[_PYTHON] = python
    try:
        yield
    finally:
        del os.environ[_PYTHON]

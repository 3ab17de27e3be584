"""Starting Spark, and what is told when it cannot be or when a task fails."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from noskew import config, errors
from noskew.errors import ConfigError, ConflictError, MissingExtraError, RunnerError
from noskew.runners.spark.faults import as_noskew_error
from noskew.runners.spark.runner import SparkRunner
from noskew.runners.spark.session import is_frame, make_session

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

TEXT = """An exception was thrown from the Python worker:
Traceback (most recent call last):
  File "history.py", line 9, in _rows
    raise SchemaMismatchError(
noskew.errors.SchemaMismatchError: rows: the column 'a' is not there;
expected int64

During handling of the above exception, another exception occurred:

Traceback (most recent call last):
noskew.errors.ConflictError: changed: repeat the call
 SQLSTATE: 38000
\tat org.apache.spark.Executor.run(Executor.scala:1)
"""


def test_an_error_of_a_task_is_raised_as_what_it_was() -> None:
    made = as_noskew_error(TEXT, "testing")
    assert type(made) is ConflictError
    assert str(made) == "changed: repeat the call"
    first = as_noskew_error(TEXT.split("During", maxsplit=1)[0], "testing")
    assert type(first) is errors.SchemaMismatchError
    assert str(first) == "rows: the column 'a' is not there;\nexpected int64"
    lost = as_noskew_error("noskew.errors.OffsetLostError: no offset 3", "testing")
    assert str(lost) == "OffsetLostError: no offset 3"


def test_other_failures_say_what_was_done_and_what_to_do() -> None:
    made = as_noskew_error("Job aborted\n\tat java.lang.Thread.run(Thread.java)\nlost", "counting")
    assert type(made) is RunnerError
    assert str(made) == "Spark failed while counting: Job aborted\nlost"
    absent = as_noskew_error("ModuleNotFoundError: No module named 'noskew'\n", "counting")
    assert "PYSPARK_PYTHON" in str(absent)


def test_without_java(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(RunnerError, match=r"no java on the PATH\. Spark needs Java 17 or later"):
        make_session("local[1]", {})
    monkeypatch.setenv("JAVA_HOME", str(tmp_path / "jdk"))
    with pytest.raises(RunnerError, match="no java in JAVA_HOME"):
        make_session("local[1]", {})


def test_without_pyspark(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyspark.errors", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'noskew\[spark\]'"):
        make_session("local[1]", {})


def test_spark_is_not_imported_to_find_out_that_it_is_not_needed() -> None:
    code = (
        "import sys, noskew, noskew.feature_store\n"
        "from noskew.runners.spark.session import active_session, is_frame\n"
        "assert not is_frame(1) and active_session() is None\n"
        "assert not {'pyspark', 'py4j', 'pandas'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_an_active_session_is_used_and_left(spark_session: SparkSession) -> None:
    with SparkRunner.open("local[1]", {}) as runner:
        assert runner.session is spark_session
        assert runner.is_local
        assert not runner.is_stopped
        assert is_frame(spark_session.range(1))
        assert runner.parts == 8
        assert runner.parts_of(3) == 3
    assert spark_session.range(2).count() == 2


def test_a_session_of_ones_own_ends(spark_session: SparkSession) -> None:
    class Session:
        stopped = 0

        def stop(self) -> None:
            self.stopped += 1

    session = Session()
    runner = SparkRunner(session, owned=True)  # type: ignore[arg-type]
    runner.close()
    runner.close()
    assert session.stopped == 1


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (
            'runner = "sparc"',
            "runner = 'sparc'; valid names: in_process, spark. Did you mean 'spark'",
        ),
        ("[spark]\nmaster = 3", r"spark\.master"),
        ("[spark]\nnope = 3", "nope"),
    ],
)
def test_faults_of_the_configuration(tmp_path: Path, text: str, why: str) -> None:
    (tmp_path / config.FILE).write_text(f'project = "p"\n{text}\n')
    with pytest.raises(ConfigError, match=why):
        config.load(tmp_path)

"""Errors of Spark and of its tasks as noskew's own."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

from noskew import errors

#: How the traceback of a task ends: the error's class, and its message up to what Spark adds.
_OURS = re.compile(r"^noskew\.errors\.(\w+): (.*?)(?=\n\s*(?:SQLSTATE|at |\n)|\n?\Z)", re.M | re.S)
_ABSENT = re.compile(r"ModuleNotFoundError: No module named '([\w.]+)'")
_MOST = 2_000


@contextmanager
def spark_faults(doing: str) -> Iterator[None]:
    """Raise what a task raised, if it was an error of noskew's, and RunnerError for any other."""
    from py4j.protocol import Py4JError
    from pyspark.errors import PySparkException

    try:
        yield
    except (PySparkException, Py4JError) as error:
        raise as_noskew_error(str(error), doing) from error


def as_noskew_error(text: str, doing: str) -> errors.NoskewError:
    """The error for what Spark says went wrong."""
    if ours := _OURS.findall(text):
        return _error_of(*ours[-1])
    if absent := _ABSENT.search(text):
        return errors.RunnerError(
            f"Spark runs its tasks with a Python that has no module {absent[1]!r}: name another "
            f"with the environment variable PYSPARK_PYTHON before the session is made, and install "
            f"noskew, and what your functions import, where tasks run"
        )
    # Without the Java half of a traceback.
    kept = [line for line in text.splitlines() if not line.lstrip().startswith("at ")]
    return errors.RunnerError(f"Spark failed while {doing}: " + "\n".join(kept)[:_MOST])


def _error_of(name: str, message: str) -> errors.NoskewError:
    kind = getattr(errors, name, errors.NoskewError)
    try:
        error: errors.NoskewError = kind(message)
    except TypeError:  # one that has more to tell than a message
        error = errors.NoskewError(f"{name}: {message}")
    return error

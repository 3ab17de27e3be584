"""A starter project that is applied and filled, and the command line run in this process."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from typer.testing import CliRunner

from noskew.cli.app import app


class Answer:
    """What a command wrote, and its exit code."""

    def __init__(self, code: int, out: str, err: str) -> None:
        self.code, self.out, self.err = code, out, err

    @property
    def told(self) -> str:
        """What stderr says, without the frame of a panel and the breaks of lines."""
        return " ".join(self.err.replace("│", " ").split())


def run(*words: str | Path) -> Answer:
    """Run ``noskew`` with these words; an exception that escapes fails the test."""
    result = CliRunner().invoke(app, [str(w) for w in words], env={"COLUMNS": "200"})
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return Answer(result.exit_code, result.stdout, result.stderr)


def ok(*words: str | Path) -> Answer:
    """As :func:`run`, of a command that succeeds."""
    answer = run(*words)
    assert answer.code == 0, answer.err
    return answer


def make(root: Path) -> Path:
    """A starter project: applied, ingested, materialized."""
    ok("init", root)
    ok("-C", root, "apply", "--yes", "-m", "first")
    ok("-C", root, "backfill")
    return root


def copied(project: Path, to: Path) -> Path:
    """A copy of a project, to be changed by one test."""
    shutil.copytree(project, to)
    return to


def forget(*roots: Path) -> None:
    """Take projects off the import path again."""
    for root in roots:
        while str(root) in sys.path:
            sys.path.remove(str(root))

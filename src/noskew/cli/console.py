"""Where commands write, what an error looks like, and the project that a command works on."""

from __future__ import annotations

import os
import sys
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer
from rich.console import Console
from rich.panel import Panel
from rich.text import Text

from noskew._lazy import lazy_module
from noskew.cli.groups import LazyGroup
from noskew.clock import FixedClock
from noskew.errors import InputError, NoskewError, NoskewWarning

if TYPE_CHECKING:
    from noskew import feature_store
    from noskew.feature_store import FeatureStore
else:
    feature_store = lazy_module("noskew.feature_store")

#: Columns where the output goes to a file or a pipe, so that tables are not cut to 80.
_PIPE_WIDTH = 140


def _console(*, stderr: bool) -> Console:
    stream = sys.stderr if stderr else sys.stdout
    fixed = "COLUMNS" in os.environ or stream.isatty()
    return Console(stderr=stderr, highlight=False, width=None if fixed else _PIPE_WIDTH)


#: Answers go to ``out``, everything about how it goes to ``err``: output stays usable in pipes.
out = _console(stderr=False)
err = _console(stderr=True)


@dataclass(frozen=True)
class Session:
    """What the options before the command say."""

    directory: Path | None = None
    debug: bool = False

    def store(self, *, at: str | None = None) -> FeatureStore:
        """The project's feature store; with ``at`` its clock stands still at that time."""
        return feature_store.FeatureStore(self.directory, clock=FixedClock(at) if at else None)


class Commands(LazyGroup):
    """Commands whose errors become one panel and exit code 1 (2 for usage, 130 for Ctrl-C)."""

    def invoke(self, ctx: Any) -> Any:
        try:
            with warnings.catch_warnings():
                _show_warnings()
                return super().invoke(ctx)
        except KeyboardInterrupt as error:
            err.print("\n[yellow]interrupted[/yellow]; it is safe to run the same command again")
            raise typer.Exit(130) from error
        except (typer.Exit, typer.Abort, BrokenPipeError):
            raise
        except NoskewError as error:
            if _debug(ctx):
                raise
            show_error(error)
            raise typer.Exit(1) from error
        except Exception as error:
            if _debug(ctx) or type(error).__module__.startswith("typer"):
                raise
            show_error(error)
            raise typer.Exit(1) from error


def _show_warnings() -> None:
    """Have noskew's warnings written as a sentence for people, the others as Python does."""
    usual = warnings.showwarning

    def show(message: Warning | str, *rest: Any, **more: Any) -> None:
        if isinstance(message, NoskewWarning):
            err.print(Text.assemble(("warning: ", "yellow"), str(message)))
        else:
            usual(message, *rest, **more)

    warnings.showwarning = show


def show_error(error: Exception) -> None:
    """One panel on stderr: what failed, what to do, whether trying again can help."""
    body = Text(str(error) or type(error).__name__)
    for note in getattr(error, "__notes__", ()):
        body.append(f"\n{note}", style="dim")
    title = type(error).__name__
    if not isinstance(error, NoskewError):
        body.append(
            "\n\nThis error is not one of noskew's own: the machine (disk, rights) or a fault in "
            "noskew.\nRun it again with 'noskew --debug …' for the traceback.",
            style="dim",
        )
    elif error.retryable:
        body.append("\n\nThe same command may succeed later.", style="dim")
    err.print(Panel(body, title=f"[b]{title}[/b]", title_align="left", border_style="red"))


def confirm(question: str, *, flag: str) -> bool:
    """Ask yes or no. Raises InputError where nobody can answer, naming the flag to use."""
    if not sys.stdin.isatty():
        raise InputError(f"{question} Nobody can answer here; say {flag} to go on.")
    return typer.confirm(question, err=True)


def session(ctx: typer.Context) -> Session:
    """The session of a command's context."""
    options = ctx.find_object(Session)
    return options if options is not None else Session()


def _debug(ctx: Any) -> bool:
    return isinstance(ctx.obj, Session) and ctx.obj.debug

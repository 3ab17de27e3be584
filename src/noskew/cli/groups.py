"""Groups of commands that are imported when they run: a list of commands imports none of them."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from typing import Any, ClassVar

import typer
from typer.core import TyperCommand, TyperGroup


@dataclass(frozen=True)
class CommandEntry:
    """A command of a group: its name, where it is, and the panel in which it is listed.

    ``home``: ``module:function``, or ``module:Group`` for a group of commands. ``about``: the help
    of such a group; that of a command is the docstring of its function.
    """

    name: str
    home: str
    panel: str | None = None
    about: str = ""


class LazyCommand(TyperCommand):
    """Stands in a list of commands for one, or for a group, until it is run or asked for help."""

    def __init__(self, entry: CommandEntry) -> None:
        super().__init__(entry.name, rich_help_panel=entry.panel)
        self._home, self._about = entry.home, entry.about

    @property
    def help(self) -> str:
        """The help of the command itself, read from its source."""
        return self._about or _docstring(self._home)

    @help.setter
    def help(self, text: str | None) -> None:
        pass  # which the base class sets to what it was not given

    def load(self) -> Any:
        """The command itself."""
        module, _, name = self._home.partition(":")
        home: Any = getattr(import_module(module), name)
        if isinstance(home, type) and issubclass(home, TyperGroup):
            return home(name=self.name, help=self.help, rich_help_panel=self.rich_help_panel)
        alone = typer.Typer(add_completion=False, rich_markup_mode="rich")
        alone.command(self.name, rich_help_panel=self.rich_help_panel)(home)
        return typer.main.get_command(alone)

    def make_context(self, info_name: Any, args: Any, parent: Any = None, **extra: Any) -> Any:
        """The context of the command itself, which is what runs."""
        return self.load().make_context(info_name, args, parent, **extra)


class LazyGroup(TyperGroup):
    """A group of the commands in ``entries``, in their order."""

    entries: ClassVar[Sequence[CommandEntry]] = ()

    def __init__(self, **attributes: Any) -> None:
        usual = {"no_args_is_help": True, "rich_markup_mode": "rich"}
        commands = {entry.name: LazyCommand(entry) for entry in self.entries}
        super().__init__(**{**usual, **attributes, "commands": commands})


@cache
def _docstring(home: str) -> str:
    """The docstring of a function, ``module:function``, without importing its module."""
    module, _, name = home.partition(":")
    spec = find_spec(module)
    assert spec is not None
    source = spec.loader.get_source(module)  # type: ignore[union-attr]
    for item in ast.parse(source).body:
        if isinstance(item, ast.FunctionDef) and item.name == name:
            return ast.get_docstring(item) or ""
    raise LookupError(home)

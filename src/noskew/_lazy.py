"""Modules and names that are imported when they are first used: the one mechanism for that.

``import noskew``, a command and a server load what they use, and nothing else: a command that
lists what is applied needs no compiler, and one that reads a row no table format. Two places are
crossroads, from which everything can be reached: the package's public names, and the face of a
project with the stores behind it. These import lazily, at the top of the file, with this module,
and so do the packages that name backends, each of which has a library of its own. All else imports
plainly, since it is itself loaded only when it is needed; an import within a function says why.

Type checkers, and the linter of import directions, must see every import. So the lazy ones are
written twice::

    if TYPE_CHECKING:
        from noskew.streaming import streams
    else:
        streams = lazy_module("noskew.streaming.streams")
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from importlib import import_module
from types import ModuleType
from typing import Any


class _LazyModule(ModuleType):
    """Stands for a module; the first attribute that is asked for imports it."""

    def __getattr__(self, name: str) -> Any:
        # Nothing is kept here: what is replaced in the module is seen at the next use.
        return getattr(import_module(self.__name__), name)


def lazy_module(name: str) -> ModuleType:
    """The module of a full name, imported when something of it is first used.

    An ImportError comes from that use.
    """
    return _LazyModule(name)


def lazy_names(
    package: dict[str, Any], homes: Mapping[str, Collection[str]]
) -> Callable[[str], Any]:
    """The ``__getattr__`` of a package whose public names load on first use.

    Parameters
    ----------
    package
        Its ``globals()``, in which a name that was loaded is kept.
    homes
        Module → the public names that are defined there.
    """
    home = {name: module for module, names in homes.items() for name in names}

    def load(name: str) -> Any:
        if name not in home:
            raise AttributeError(f"module {package['__name__']!r} has no attribute {name!r}")
        package[name] = getattr(import_module(home[name]), name)
        return package[name]

    return load

"""Plugins: what has a name, of ours or of an installed distribution that gives an entry point."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Any, Generic, TypeVar, cast

from noskew.errors import ConfigError, MissingExtraError

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

_Plugin = TypeVar("_Plugin", bound=Callable[..., Any])


class Plugins(Generic[_Plugin]):
    """Functions or classes of one purpose, by a name such as the scheme of an address.

    Ours are known by name and imported when asked for. Only for a name that is not ours are the
    installed distributions looked through, which takes milliseconds: nobody can replace ours.

    Parameters
    ----------
    group : the group of entry points in which others give theirs, by the same kind of name.
    ours : module and attribute, ``"package.module:attribute"``, by name.
    """

    def __init__(self, group: str, ours: Mapping[str, str]) -> None:
        self.group = group
        self._ours = ours

    def get(self, name: str) -> _Plugin | None:
        """That of a name; None if nothing that is installed has one.

        Raises ConfigError for one that several distributions give or that cannot be loaded, and
        MissingExtraError when a library of it is not installed.
        """
        where = self._ours.get(name)
        if where is not None:
            module, _, attribute = where.partition(":")
            return cast("_Plugin", getattr(import_module(module), attribute))
        from importlib.metadata import entry_points  # 20 ms that few who import this ever need

        given = [*entry_points(group=self.group, name=name)]
        if not given:
            return None
        if len({point.value for point in given}) > 1:
            raise ConfigError(
                f"{name!r} is given by several installed distributions "
                f"({', '.join(sorted(map(_origin, given)))}); uninstall all but one"
            )
        return self._load(given[0])

    def names(self) -> list[str]:
        """Every name that there is, sorted."""
        from importlib.metadata import entry_points  # as above

        return sorted({*self._ours, *entry_points(group=self.group).names})

    def _load(self, point: EntryPoint) -> _Plugin:
        try:
            plugin = point.load()
        except MissingExtraError:
            raise
        except (ImportError, AttributeError) as error:
            raise ConfigError(
                f"{point.name!r} is given by {_origin(point)}, which cannot be loaded: {error}"
            ) from error
        if not callable(plugin):
            raise ConfigError(f"{point.name!r} is given by {_origin(point)}, which is no function")
        return cast("_Plugin", plugin)


def _origin(point: EntryPoint) -> str:
    distribution = point.dist.name if point.dist is not None else "an unnamed distribution"
    return f"{point.value!r} of {distribution}"

"""Load a project's definitions: import its feature files and gather what they define."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

from noskew.definitions.entity import Entity
from noskew.definitions.on_demand import OnDemand
from noskew.definitions.project import Definition, Project
from noskew.definitions.service import FeatureService
from noskew.definitions.source import Source
from noskew.definitions.view import FeatureView
from noskew.errors import DefinitionError, NoskewError

_KINDS = (Entity, Source, FeatureView, OnDemand, FeatureService)


def load_project(root: Path, package: str) -> Project:
    """Everything that the Python files of ``root/package`` define at their top level.

    Files are imported as ``package.file``, so that functions in them can be found again by
    import path; ``root`` is put on ``sys.path``. Files whose name starts with an underscore are
    left to be imported by others.

    Raises DefinitionError if there are no files, if one cannot be imported (naming it), or if
    two definitions of a kind share a name.
    """
    folder = root / package
    files = sorted(p for p in folder.glob("*.py") if not p.name.startswith("_"))
    if not files:
        raise DefinitionError(
            f"no feature files in {str(folder)!r}; put definitions into {package}/*.py, or set "
            f'features = "…" in noskew.toml'
        )
    make_importable(root, package)
    _forget(package)
    definitions: list[Definition] = []
    for path in files:
        module = _import(f"{package}.{path.stem}", path)
        definitions += [v for v in vars(module).values() if isinstance(v, _KINDS)]
    return Project.of(definitions)


def make_importable(root: Path, package: str) -> None:
    """Put a project's directory first on ``sys.path``: functions are imported when they run.

    Another project of this process may have a package of the same name: its modules are dropped,
    and imported again when it has its turn.
    """
    if sys.path[:1] != [str(root)]:
        sys.path[:] = [str(root), *(p for p in sys.path if p != str(root))]
        _forget(package)


def _import(name: str, path: Path) -> object:
    try:
        return importlib.import_module(name)
    except NoskewError as error:
        error.add_note(f"while loading {path.name}")
        raise
    except Exception as error:
        raise DefinitionError(
            f"{path.name} cannot be loaded: {type(error).__name__}: {error}"
        ) from error


def _forget(package: str) -> None:
    """Drop modules of the package, so that edited files are read again, and from this root."""
    importlib.invalidate_caches()
    for name in [n for n in sys.modules if n == package or n.startswith(package + ".")]:
        del sys.modules[name]

"""The flights project on disk, and the scripts in it."""

from __future__ import annotations

import shutil
import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

from noskew.cli import templates
from noskew.errors import ConfigError, missing_extra

#: In a project's state: the demo made it, so the demo may make it again.
_MARK = Path(".noskew", "made-by-demo")
#: What the project and the one of its stream have stored.
_STATES = (Path(".noskew"), Path("stream", ".noskew"))


def make(root: Path) -> bool:
    """A flights project without state in ``root``; whether one of an earlier demo was there.

    Of an earlier demo the files stay as they are, edited or not, and what it stored goes. Any
    other directory that is not empty is refused.
    """
    again = (root / _MARK).is_file()
    if again:
        for state in _STATES:
            shutil.rmtree(root / state, ignore_errors=True)
    else:
        templates.copy("flights", root)
    (root / ".noskew").mkdir()
    (root / _MARK).touch()
    return again


def script(root: Path, name: str) -> ModuleType:
    """A script of the project, as a module of a name that no other module has."""
    path = root / f"{name}.py"
    spec = spec_from_file_location(f"_noskew_demo_{name}", path)
    if spec is None or spec.loader is None or not path.is_file():
        raise ConfigError(f"{path} is missing; remove {root} and run the demo again")
    module = module_from_spec(spec)
    sys.modules[spec.name] = module
    try:
        spec.loader.exec_module(module)
    except ModuleNotFoundError as error:
        raise missing_extra(str(error.name), "demo", "noskew demo") from error
    return module

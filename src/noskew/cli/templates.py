"""Projects that are made by copying: the starter of ``init``, the flights of ``demo``."""

from __future__ import annotations

import shutil
from pathlib import Path

from noskew import config
from noskew.errors import ConfigError

_HERE = Path(__file__).resolve().parent
#: What running a project leaves behind.
_LEFT_OUT = shutil.ignore_patterns("__pycache__", ".noskew", "data")


def template(name: str) -> Path:
    """The folder of a template. Examples are packaged beside the starter in a wheel; in a
    checkout, which an editable installation runs from, they are in ``examples/``.
    """
    packaged = _HERE / "scaffolds" / name
    return packaged if packaged.is_dir() else _HERE.parents[2] / "examples" / name


def copy(name: str, target: Path) -> None:
    """Copy a template to a directory that is absent or empty.

    Raises ConfigError if something is there: nothing is ever overwritten.
    """
    if target.exists() and not target.is_dir():
        raise ConfigError(f"{str(target)!r} is a file; name a directory")
    if target.is_dir() and any(target.iterdir()):
        what = f"a project ({config.FILE})" if (target / config.FILE).exists() else "files"
        raise ConfigError(
            f"{str(target)!r} has {what} already and nothing is overwritten; name another directory"
        )
    source = template(name)
    if not (source / config.FILE).is_file():
        raise ConfigError(f"the template {name!r} is not installed; reinstall noskew")
    try:
        shutil.copytree(source, target, ignore=_LEFT_OUT, dirs_exist_ok=True)
    except OSError as error:
        raise ConfigError(f"cannot write to {str(target)!r}: {error.strerror or error}") from error

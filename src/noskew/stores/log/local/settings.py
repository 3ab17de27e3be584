"""``log.json``: what a local log was made with, and which log it is."""

from __future__ import annotations

from pathlib import Path
from secrets import token_hex
from typing import Annotated

import msgspec

from noskew.errors import CorruptDataError, StoreConfigError
from noskew.stores.log.local.files import create, locked, replace

MOST_PARTITIONS = 1024
_NAME = "log.json"
_FORMAT = 1


class Settings(msgspec.Struct, frozen=True):
    """What stands in the file. Logs of before there were identities have an empty one."""

    format: int
    partitions: int
    identity: Annotated[str, msgspec.Meta(pattern=r"\A[A-Za-z0-9_-]{1,64}\Z")] = ""


def settled(path: Path, wanted: int | None) -> Settings:
    """Those of the log at a path, made with ``wanted`` partitions if it is not there.

    Of several processes at once, the first one says what it is.
    """
    file = path / _NAME
    create(file, msgspec.json.encode(Settings(_FORMAT, wanted or 1, _new_identity())))
    settings = read(path)
    if wanted not in (None, settings.partitions):
        raise StoreConfigError(
            f"the log {path} has {settings.partitions} partitions, not {wanted}; keep that number, "
            f"or start a new log in another directory"
        )
    if settings.identity:
        return settings
    with locked(path):
        settings = read(path)  # another process may have been first
        if not settings.identity:
            settings = msgspec.structs.replace(settings, identity=_new_identity())
            replace(file, msgspec.json.encode(settings))
    return settings


def read(path: Path) -> Settings:
    """Those of the log at a path. Raises CorruptDataError for what does not describe a log."""
    file = path / _NAME
    try:
        settings = msgspec.json.decode(file.read_bytes(), type=Settings)
    except msgspec.MsgspecError as error:
        raise CorruptDataError(
            f"{file} does not describe a log: {error}; restore it from a copy"
        ) from error
    if settings.format != _FORMAT or not 1 <= settings.partitions <= MOST_PARTITIONS:
        raise CorruptDataError(
            f"{file} describes a log of format {settings.format} with {settings.partitions} "
            f"partitions; expected format {_FORMAT} with 1 to {MOST_PARTITIONS}"
        )
    return settings


def _new_identity() -> str:
    return token_hex(16)

"""Configuration: ``noskew.toml``, found from the working directory upwards.

``${NAME}`` in a value stands for the environment variable of that name, ``$$`` for one ``$``.
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec

from noskew.errors import ConfigError, nearest
from noskew.redaction import masked, masked_settings
from noskew.types import check_name

FILE = "noskew.toml"
#: What may do the work of training sets, ingest and materialize, beside runners that installed
#: distributions have an entry point for.
RUNNERS = ("in_process", "spark")
_DOLLAR = re.compile(r"\$(?:\$|\{([A-Za-z_][A-Za-z0-9_]*)\}|)")


class _Section(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A part of the configuration. What is shown of it has no password in it."""

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        return [(name, _shown(getattr(self, name))) for name in self.__struct_fields__]

    def __repr__(self) -> str:
        shown = ", ".join(f"{name}={value!r}" for name, value in self.__rich_repr__())
        return f"{type(self).__name__}({shown})"


def _shown(value: Any) -> Any:
    if isinstance(value, str):
        return masked(value)
    return masked_settings(value) if isinstance(value, Mapping) else value


class RegistryConfig(_Section, frozen=True, forbid_unknown_fields=True):
    """``[registry]``: an SQLAlchemy URL; SQLite paths are relative to the file."""

    url: str = "sqlite:///.noskew/registry.db"


class OfflineConfig(_Section, frozen=True, forbid_unknown_fields=True):
    """``[offline]``: the Iceberg catalog, where its files are, buckets of new tables.

    A bucket is what one step of a training set holds in memory: choose it so that a
    bucket is a few million events. ``[offline.properties]`` are settings of pyiceberg, such as
    those of an object store.
    """

    catalog: str = "sqlite:///.noskew/catalog.db"
    warehouse: str = ".noskew/warehouse"
    buckets: int = 16
    properties: dict[str, str] = msgspec.field(default_factory=dict)


class OnlineConfig(_Section, frozen=True, forbid_unknown_fields=True):
    """``[online]``: the address of the online store; LMDB paths are relative to the file."""

    url: str = "lmdb:///.noskew/online"


class ServeConfig(_Section, frozen=True, forbid_unknown_fields=True):
    """``[serve]``: the HTTP server and its limits.

    ``audit``: the share of entities, 0 to 1, whose answers are kept in the offline store.
    """

    host: str = "127.0.0.1"
    port: int = 6580
    workers: int = 1
    max_rows: int = 10_000
    max_body_bytes: int = 8_388_608
    body_timeout_s: int = 30
    audit: float = 0.0


class SparkConfig(_Section, frozen=True, forbid_unknown_fields=True):
    """``[spark]``: a session of Spark, where the process has none. ``[spark.conf]`` sets it up."""

    master: str = "local[*]"
    conf: dict[str, str] = msgspec.field(default_factory=dict)


class Config(_Section, frozen=True, forbid_unknown_fields=True):
    """A project's configuration. Every part has a default that needs nothing but files."""

    project: str
    features: str = "features"
    runner: str = "in_process"
    registry: RegistryConfig = msgspec.field(default_factory=RegistryConfig)
    offline: OfflineConfig = msgspec.field(default_factory=OfflineConfig)
    online: OnlineConfig = msgspec.field(default_factory=OnlineConfig)
    serve: ServeConfig = msgspec.field(default_factory=ServeConfig)
    spark: SparkConfig = msgspec.field(default_factory=SparkConfig)


def find_root(start: Path) -> Path:
    """The directory at or above ``start`` that holds ``noskew.toml``.

    Raises ConfigError if there is none.
    """
    here = start.resolve()
    for directory in (here, *here.parents):
        if (directory / FILE).is_file():
            return directory
    raise ConfigError(
        f"no {FILE} in {str(here)!r} or above it; run 'noskew init' to make a project, or pass "
        f"the project's directory"
    )


def load(root: Path) -> Config:
    """Read ``noskew.toml`` of a project, with environment variables put in.

    Raises ConfigError that names the key at fault, and never a value.
    """
    path = root / FILE
    try:
        given = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ConfigError(f"no {FILE} in {str(root)!r}; run 'noskew init'") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{FILE} is not valid TOML: {error}") from error
    for section, key in (("offline", "properties"), ("spark", "conf")):
        table = given.get(section)
        if isinstance(table, dict) and isinstance(table.get(key), dict):
            table[key] = dict(_flat(table[key]))
    try:
        config = msgspec.convert(_with_environment(given, Config, ()), Config)
    except msgspec.ValidationError as error:
        raise ConfigError(f"{FILE}: {error}") from error
    check_name(config.project, f"{FILE}, project")
    _check_runner(config.runner)
    if not 1 <= config.offline.buckets <= 4_096:
        raise ConfigError(
            f"{FILE}: offline.buckets must be 1 to 4096, got {config.offline.buckets}"
        )
    if not 0 <= config.serve.audit <= 1:
        raise ConfigError(f"{FILE}: serve.audit must be 0 to 1, got {config.serve.audit}")
    return config


def _flat(table: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Pairs of a nested table: TOML takes ``s3.endpoint = …`` for a table ``s3``.

    Numbers and bools become the text that pyiceberg reads.
    """
    for name, value in table.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{name}.")
        elif isinstance(value, bool):
            yield prefix + name, str(value).lower()
        else:
            yield prefix + name, str(value) if isinstance(value, (int, float)) else value


def _with_environment(value: Any, kind: Any, where: tuple[str, ...]) -> Any:
    """The value at a key, with variables put in; ``kind`` is the type declared for it."""
    if isinstance(value, dict):
        is_section = isinstance(kind, type) and issubclass(kind, msgspec.Struct)
        kinds = {f.name: f.type for f in msgspec.structs.fields(kind)} if is_section else {}
        return {k: _with_environment(v, kinds.get(k), (*where, k)) for k, v in value.items()}
    if not isinstance(value, str) or "$" not in value:
        return value
    text = _DOLLAR.sub(lambda found: _variable(found, ".".join(where)), value)
    return int(text) if kind is int and text.isdecimal() else text


def _variable(found: re.Match[str], key: str) -> str:
    """What stands for ``${NAME}`` or ``$$``. Messages name key and variable, never a value."""
    if found[0] == "$$":
        return "$"
    name = found[1]
    if name is None:
        raise ConfigError(
            f"{FILE}: {key} has a '$' that is neither ${{NAME}}, an environment variable, nor $$, "
            f"one '$'"
        )
    if name not in os.environ:
        raise ConfigError(
            f"{FILE}: {key} needs the environment variable {name}, which is not set; set it, or "
            f"write $${{{name}}} if no variable is meant"
        )
    return os.environ[name]


def anchor(url: str, root: Path) -> str:
    """A URL whose path (``sqlite:///x``, ``lmdb:///x``) is relative, made relative to ``root``.

    ``scheme:////x`` and other addresses stay as they are.
    """
    for scheme in ("sqlite:///", "lmdb:///"):
        if url.startswith(scheme) and not url.startswith(scheme + "/"):
            path, mark, options = url[len(scheme) :].partition("?")
            return scheme + str(root / path) + mark + options
    return url


def _check_runner(runner: str) -> None:
    if runner in RUNNERS:
        return
    from importlib.metadata import entry_points  # 20 ms that few need

    others = entry_points(group="noskew.runners").names
    if runner.partition("://")[0] not in others:
        raise ConfigError(f"{FILE}: runner = {runner!r}; {nearest(runner, {*RUNNERS, *others})}")

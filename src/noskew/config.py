"""Configuration: ``noskew.toml``, found from the working directory upwards."""

from __future__ import annotations

import tomllib
from pathlib import Path

import msgspec

from noskew.errors import ConfigError
from noskew.types import check_name

FILE = "noskew.toml"


class RegistryConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``[registry]``: an SQLAlchemy URL; SQLite paths are relative to the file."""

    url: str = "sqlite:///.noskew/registry.db"


class OfflineConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``[offline]``: the Iceberg catalog, where its files are, buckets of new tables.

    A bucket is what one step of a training set holds in memory: choose it so that a
    bucket is a few million events.
    """

    catalog: str = "sqlite:///.noskew/catalog.db"
    warehouse: str = ".noskew/warehouse"
    buckets: int = 16


class OnlineConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``[online]``: the address of the online store; LMDB paths are relative to the file."""

    url: str = "lmdb:///.noskew/online"


class ServeConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``[serve]``: the HTTP server and its limits."""

    host: str = "127.0.0.1"
    port: int = 6580
    workers: int = 1
    max_rows: int = 10_000
    max_body_bytes: int = 8_388_608


class Config(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A project's configuration. Every part has a default that needs nothing but files."""

    project: str
    features: str = "features"
    registry: RegistryConfig = msgspec.field(default_factory=RegistryConfig)
    offline: OfflineConfig = msgspec.field(default_factory=OfflineConfig)
    online: OnlineConfig = msgspec.field(default_factory=OnlineConfig)
    serve: ServeConfig = msgspec.field(default_factory=ServeConfig)


def find(start: Path) -> Path:
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
    """Read ``noskew.toml`` of a project. Raises ConfigError that names the key at fault."""
    path = root / FILE
    try:
        config = msgspec.toml.decode(path.read_bytes(), type=Config)
    except FileNotFoundError as error:
        raise ConfigError(f"no {FILE} in {str(root)!r}; run 'noskew init'") from error
    except msgspec.ValidationError as error:
        raise ConfigError(f"{FILE}: {error}") from error
    except (tomllib.TOMLDecodeError, msgspec.DecodeError) as error:
        raise ConfigError(f"{FILE} is not valid TOML: {error}") from error
    check_name(config.project, f"{FILE}, project")
    if not 1 <= config.offline.buckets <= 4_096:
        raise ConfigError(
            f"{FILE}: offline.buckets must be 1 to 4096, got {config.offline.buckets}"
        )
    return config


def anchor(url: str, root: Path) -> str:
    """A URL whose path (``sqlite:///x``, ``lmdb:///x``) is relative, made relative to ``root``.

    ``scheme:////x`` and other addresses stay as they are.
    """
    for scheme in ("sqlite:///", "lmdb:///"):
        if url.startswith(scheme) and not url.startswith(scheme + "/"):
            path, mark, options = url[len(scheme) :].partition("?")
            return scheme + str(root / path) + mark + options
    return url

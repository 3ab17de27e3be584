"""Sources by the name of their kind, as a configuration or a definition gives it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any, cast

from noskew.errors import ConfigError, nearest
from noskew.plugins import Plugins

if TYPE_CHECKING:
    from noskew.stores.sources.base import BatchSource


@dataclass(frozen=True, slots=True)
class _Kind:
    module: str
    name: str
    required: tuple[str, ...]
    optional: tuple[str, ...] = ()


_CSV = ("delimiter", "timezone", "timestamp_format", "null_values", "encoding", "header", "decimal")
_KINDS = {
    "parquet": _Kind("parquet", "ParquetSource", ("path",), ("column_types",)),
    "csv": _Kind("csv", "CsvSource", ("path",), ("column_types", *_CSV)),
    "json": _Kind("json", "JsonSource", ("path",), ("column_types",)),
    "frame": _Kind("frame", "FrameSource", ("frame",), ("column_types",)),
    "iceberg": _Kind("iceberg", "IcebergSource", ("catalog", "table"), ("branch",)),
    "delta": _Kind("delta", "DeltaSource", ("path",), ("version",)),
    "duckdb": _Kind("duckdb", "DuckDbQuery", ("sql",), ("database", "column_types")),
    "postgres": _Kind("postgres", "PostgresQuery", ("dsn", "sql"), ("column_types",)),
}
_OTHERS: Plugins[Callable[..., BatchSource]] = Plugins("noskew.sources", {})


def open_source(kind: str, options: Mapping[str, Any]) -> BatchSource:
    """The source of a kind (``"parquet"``, ``"csv"``, ...) with its options.

    Only the backend asked for is imported. A kind that is not ours is opened by the installed
    distribution that has an entry point of that name in the group ``noskew.sources``: a function
    of the options, by name, that gives the source.

    Raises ConfigError for an unknown kind or option, or an option that is missing;
    MissingExtraError where a library is not installed.
    """
    if kind not in _KINDS:
        opener = _OTHERS.get(kind)
        if opener is None:
            names = [*_KINDS, *_OTHERS.names()]
            raise ConfigError(f"no kind of batch source {kind!r}; {nearest(kind, names)}")
        return opener(**options)
    chosen = _KINDS[kind]
    allowed = (*chosen.required, *chosen.optional)
    for name in options:
        if name not in allowed:
            raise ConfigError(f"a {kind} source has no option {name!r}; {nearest(name, allowed)}")
    for name in chosen.required:
        if name not in options:
            raise ConfigError(f"a {kind} source needs the option {name!r}")
    module = import_module(f"noskew.stores.sources.{chosen.module}")
    return cast("BatchSource", getattr(module, chosen.name)(**options))

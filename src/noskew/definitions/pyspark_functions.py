"""PySpark functions as SQL: what a function on a DataFrame asks for, in DuckDB's dialect.

A function from DataFrame to DataFrame only describes a query. It is called once, on a DataFrame
of sqlframe that has the source's columns and no data, and what it describes is what runs: in
training, in streams, in Spark tasks, and nowhere by Spark itself.
"""

from __future__ import annotations

import builtins
import importlib
import threading
import types
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from noskew.errors import TransformError, missing_extra
from noskew.types import Schema

if TYPE_CHECKING:
    from sqlframe.duckdb import DuckDBSession

_API = "pyspark"
#: sqlframe keeps one session a process, in a variable.
_LOCK = threading.Lock()


def to_sql(function: Callable[[Any], Any], source_name: str, columns: Schema, what: str) -> str:
    """The SELECT over the source that a function on a PySpark DataFrame describes.

    The function may use ``pyspark.sql.functions`` (and types, Window, …), wherever it imported
    them; pyspark need not be installed for one that imports them from ``sqlframe.duckdb``.

    Raises TransformError if it fails, returns something else than a DataFrame, looks at data
    (``collect``, ``count``, ``toPandas``, …), or describes another query each time.
    """
    with _LOCK, _session(source_name, columns, what) as session:
        made = [_described(function, session, source_name, what) for _ in range(2)]
    if made[0] != made[1]:
        raise TransformError(
            f"{what}: it describes another query each time it is called, so it depends on more "
            f"than the row; take out what reads the clock or chance"
        )
    return made[0]


def _described(
    function: Callable[[Any], Any], session: DuckDBSession, source_name: str, what: str
) -> str:
    from sqlframe.base.dataframe import BaseDataFrame

    try:
        found = _Rebound(_package(function)).function(function)(session.table(source_name))
        if isinstance(found, BaseDataFrame):
            return str(found.sql(dialect="duckdb", optimize=False, pretty=True))
    except TransformError:
        raise
    except Exception as error:
        raise TransformError(f"{what}: {type(error).__name__}: {error}") from error
    raise TransformError(f"{what}: expected a DataFrame, got {type(found).__name__}")


@contextmanager
def _session(source_name: str, columns: Schema, what: str) -> Iterator[DuckDBSession]:
    """A session of sqlframe that knows the source's columns and refuses to run anything."""
    try:
        from sqlframe.base.session import _BaseSession
        from sqlframe.duckdb import DuckDBSession
    except ImportError as error:
        raise missing_extra("sqlframe", "pyspark", "ns.pyspark") from error
    import duckdb
    import pyarrow as pa

    class Describing(DuckDBSession):
        """Queries may be described; to run one would be to look at data."""

        is_ready = False

        def _execute(self, sql: str) -> None:
            self._refuse()
            super()._execute(sql)

        def _fetchdf(self, *args: Any, **options: Any) -> Any:
            self._refuse()

        def _refuse(self) -> None:
            if self.is_ready:
                raise TransformError(
                    f"{what}: it looks at data (collect, count, toPandas, show or the like), which "
                    f"would make each row's value depend on the others; describe the columns only"
                )

    theirs = _BaseSession._instance
    connection = duckdb.connect(config={"enable_external_access": "false", "threads": 1})
    try:
        connection.register("given", pa.table({n: pa.array([], t.to_arrow())
                                               for n, t in columns.items()}))  # fmt: skip
        connection.table("given").create(source_name)
        _BaseSession._instance = None
        session = Describing(conn=connection)
        session.table(source_name)  # reads its columns
        session.is_ready = True
        yield session
        session.__dict__.pop("_connection", None)
    finally:
        _BaseSession._instance = theirs
        connection.close()


class _Rebound:
    """Functions that see sqlframe where they imported pyspark.

    ``package``: functions of it are treated likewise where one calls another.
    """

    def __init__(self, package: str) -> None:
        self._package = package
        self._made: dict[int, Any] = {}

    def function(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """The same code, with other globals."""
        if id(function) in self._made:
            return self._made[id(function)]  # type: ignore[no-any-return]
        assert isinstance(function, types.FunctionType)
        # A function takes its builtins from its globals when it is made.
        names: dict[str, Any] = {"__builtins__": {**vars(builtins), "__import__": self._import}}
        made = types.FunctionType(
            function.__code__, names, function.__name__, function.__defaults__, function.__closure__
        )
        made.__kwdefaults__ = function.__kwdefaults__
        self._made[id(function)] = made
        for name, value in function.__globals__.items():
            names.setdefault(name, self._value(value))
        return made

    def _value(self, value: Any) -> Any:
        if isinstance(value, types.ModuleType):
            return _module(value.__name__) if _is_of_api(value.__name__) else value
        home = getattr(value, "__module__", None)
        if isinstance(home, str) and _is_of_api(home) and hasattr(value, "__name__"):
            return _object(value.__name__)
        if isinstance(value, types.FunctionType) and _package(value) == self._package:
            return self.function(value)
        return value

    def _import(self, name: str, *args: Any) -> Any:
        if not _is_of_api(name):
            return builtins.__import__(name, *args)
        wanted = args[2] if len(args) > 2 else ()
        return _module(name) if wanted else _module(_API)


def _package(function: Callable[..., Any]) -> str:
    return function.__module__.split(".")[0]


def _is_of_api(module: str) -> bool:
    return module.split(".", maxsplit=1)[0] == _API


def _module(name: str) -> Any:
    """What stands for a module of pyspark: ``pyspark.sql.functions`` and its neighbours."""
    known = {
        "pyspark.sql.functions": "sqlframe.duckdb.functions",
        "pyspark.sql.types": "sqlframe.duckdb.types",
        "pyspark.sql.window": "sqlframe.duckdb.window",
        "pyspark.sql.column": "sqlframe.duckdb.column",
        "pyspark.sql.dataframe": "sqlframe.duckdb.dataframe",
    }
    if name in known:
        return importlib.import_module(known[name])
    if name == "pyspark.sql":
        parts = {path.rpartition(".")[2]: _module(path) for path in known}
        objects = {n: _object(n) for n in ("Column", "DataFrame", "Window")}
        return types.SimpleNamespace(**parts, **objects)
    if name == _API:
        return types.SimpleNamespace(sql=_module("pyspark.sql"))
    raise TransformError(f"ns.pyspark: {name} has nothing that a row-wise function needs")


def _object(name: str) -> Any:
    """What stands for a class or function of pyspark."""
    from sqlframe.duckdb import Column, DuckDBDataFrame, Window, functions
    from sqlframe.duckdb import types as data_types

    named = {"Column": Column, "DataFrame": DuckDBDataFrame, "Window": Window}
    for where in (functions, data_types):
        if hasattr(where, name):
            return getattr(where, name)
    if name in named:
        return named[name]
    raise TransformError(f"ns.pyspark: {name} of pyspark is not known to run without Spark")

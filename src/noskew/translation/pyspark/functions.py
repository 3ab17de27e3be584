"""PySpark functions as SQL: what a function on a DataFrame asks for, in Spark's dialect.

A function from DataFrame to DataFrame only describes a query. It is called once, on a DataFrame
of sqlframe that has the source's columns and no data. What it describes is translated to DuckDB's
dialect, as Spark SQL is, and runs there: in training, in streams, in Spark tasks, and nowhere by
Spark itself.
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
from noskew.translation.dialects import to_duckdb
from noskew.translation.pyspark.calls import PySparkFunctions, columns_of_pyspark
from noskew.types import DType, Schema

if TYPE_CHECKING:
    from sqlframe.standalone import StandaloneSession
    from sqlglot import exp

_API = "pyspark"
_SPARK = "spark"
_FUNCTIONS = PySparkFunctions()
#: sqlframe keeps one session a process, in a variable.
_LOCK = threading.Lock()
_TYPES = {
    "bool": "boolean",
    "int8": "tinyint",
    "int16": "smallint",
    "int32": "int",
    "int64": "bigint",
    "float32": "float",
    "float64": "double",
    "string": "string",
    "bytes": "binary",
    "timestamp": "timestamp",
    "date": "date",
}
#: Methods of a DataFrame that sqlframe gives another meaning than Spark, and what to write.
_OTHERWISE = {
    "fillna": "F.coalesce(column, F.lit(value)), and F.nanvl for NaN, which Spark fills, too",
    "dropna": "filter(column.isNotNull() & ~F.isnan(column)); Spark drops NaN, too",
    "replace": "F.when(column == old, new).otherwise(column)",
}
#: Methods that look at data.
_LOOKS = """
    approxQuantile collect corr count cov explain first foreach foreachPartition head isEmpty
    lineage printSchema show stat summary tail take toArrow toJSON toLocalIterator toPandas
"""


def to_sql(function: Callable[[Any], Any], source_name: str, columns: Schema, what: str) -> str:
    """The SELECT over the source that a function on a PySpark DataFrame describes, for DuckDB.

    The function may use ``pyspark.sql.functions`` (and types, Window, …), wherever it imported
    them; pyspark need not be installed for one that imports them from ``sqlframe.duckdb``.

    Raises TransformError if it fails, returns something else than a DataFrame, looks at data
    (``collect``, ``count``, ``toPandas``, …), describes another query each time, or asks for
    what is not known to mean the same in DuckDB.
    """
    with _LOCK, _session(source_name, columns) as session:
        texts = [_described(function, session, source_name, what) for _ in range(2)]
    if texts[0] != texts[1]:
        raise TransformError(
            f"{what}: it describes another query each time it is called, so it depends on more "
            f"than the row; take out what reads the clock or chance"
        )
    return to_duckdb(texts[0], _SPARK, source_name, columns, what)


def _described(
    function: Callable[[Any], Any], session: StandaloneSession, source_name: str, what: str
) -> str:
    from sqlframe.base.dataframe import BaseDataFrame

    try:
        frame = _Rebound(_package(function)).function(function)(session.table(source_name))
        if isinstance(frame, BaseDataFrame):
            return str(frame.sql(dialect=_SPARK, optimize=False))
    except TransformError as error:
        raise TransformError(f"{what}: {error}") from error
    except Exception as error:  # the function is the user's: it can raise anything
        raise TransformError(f"{what}: {type(error).__name__}: {error}") from error
    raise TransformError(f"{what}: expected a DataFrame, got {type(frame).__name__}")


@contextmanager
def _session(source_name: str, columns: Schema) -> Iterator[StandaloneSession]:
    """A session of sqlframe that knows the source's columns and has nothing to run a query on."""
    try:
        from sqlframe.base.session import _BaseSession
    except ImportError as error:
        raise missing_extra("sqlframe", "pyspark", "ns.pyspark") from error

    theirs = _BaseSession._instance
    try:
        _BaseSession._instance = None
        session = _describing()
        known = {name: _type_name(kind) for name, kind in columns.items()}
        session.catalog.add_table(source_name, known)
        with columns_of_pyspark():
            yield session
    finally:
        _BaseSession._instance = theirs


def _describing() -> StandaloneSession:
    from sqlframe.standalone import StandaloneSession
    from sqlframe.standalone.dataframe import StandaloneDataFrame
    from sqlframe.standalone.table import StandaloneTable

    # It loads sqlglot, which takes long, and which nobody needs who describes nothing.
    from noskew.translation.parser_dialects import PlainSpark

    def refused(name: str, instead: str) -> Callable[..., Any]:
        def method(*_: Any, **__: Any) -> Any:
            raise TransformError(f"DataFrame.{name} is refused; write {instead}")

        return method

    def looks(*_: Any, **__: Any) -> Any:
        raise TransformError(
            "it looks at data (collect, count, toPandas, show or the like), which would make each "
            "row's value depend on the others; describe the columns only"
        )

    others: dict[str, Any] = {name: refused(name, instead) for name, instead in _OTHERWISE.items()}
    others |= dict.fromkeys(_LOOKS.split(), looks)
    others |= {name: property(others[like]) for name, like in (("na", "fillna"), ("write", "show"))}
    others["selectExpr"] = _select_expressions

    class Described(StandaloneDataFrame):
        """A query."""

    class DescribedTable(StandaloneTable):
        """The source."""

        _df = Described

    for kind in (Described, DescribedTable):
        for name, method in others.items():
            setattr(kind, name, method)

    class Describing(StandaloneSession):
        """Queries may be described; to run one would be to look at data."""

        _df = Described
        _table = DescribedTable

        @property
        def _is_spark(self) -> bool:
            return True

        def _to_sql(self, sql: Any, **options: Any) -> str:
            return str(
                super()._to_sql(_with_parentheses(sql), normalize_functions=False, **options)
            )

        _collect = _execute = _fetchdf = looks

    session = Describing()
    session.input_dialect = PlainSpark()
    return session


def _select_expressions(frame: Any, *texts: Any) -> Any:
    """``selectExpr``, which sqlframe lacks."""
    flat = texts[0] if len(texts) == 1 and isinstance(texts[0], (list, tuple)) else texts
    return frame.select(*(_FUNCTIONS.expr(text) for text in flat))


def _type_name(kind: DType) -> str:
    if kind.kind == "decimal":
        return f"decimal({kind.precision}, {kind.scale})"
    if kind.item is not None:
        return f"array<{_type_name(kind.item)}>"
    return _TYPES[kind.kind]


def _with_parentheses(tree: exp.Expr) -> exp.Expr:
    """The tree with a pair of parentheses around each operator that stands within another one.

    A tree of sqlframe says what belongs together; its text would not: ``(a > 1) = b``.
    """
    from sqlglot import exp

    operators = (exp.Binary, exp.Not, exp.Neg, exp.BitwiseNot, exp.In, exp.Between, exp.Case)
    copied = tree.copy()
    for node in list(copied.find_all(*operators)):
        if isinstance(node.parent, (*operators, exp.Bracket, exp.Cast)) and not isinstance(
            node, exp.Dot
        ):
            node.replace(exp.Paren(this=node.copy()))
    return copied


class _Rebound:
    """Functions that see sqlframe where they imported pyspark.

    ``package``: functions of it are treated likewise where one calls another.
    """

    def __init__(self, package: str) -> None:
        self._package = package
        self._made: dict[int, Callable[..., Any]] = {}

    def function(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """The same code, with other globals."""
        if id(function) in self._made:
            return self._made[id(function)]
        assert isinstance(function, types.FunctionType)
        # A function takes its builtins from its globals when it is made.
        names: dict[str, Any] = {"__builtins__": {**vars(builtins), "__import__": self._import}}
        rebound = types.FunctionType(
            function.__code__, names, function.__name__, function.__defaults__, function.__closure__
        )
        rebound.__kwdefaults__ = function.__kwdefaults__
        self._made[id(function)] = rebound
        for name, value in function.__globals__.items():
            names.setdefault(name, self._value(value))
        return rebound

    def _value(self, value: Any) -> Any:
        if isinstance(value, types.ModuleType):
            return _module(value.__name__) if _is_of_api(value.__name__) else value
        home = getattr(value, "__module__", None)
        if (
            isinstance(home, str)
            and hasattr(value, "__name__")
            and (home.split(".")[0] == _API or home == "sqlframe.base.functions")
        ):
            return _object(value.__name__)
        if isinstance(value, types.FunctionType) and _package(value) == self._package:
            return self.function(value)
        return value

    def _import(self, name: str, *args: Any) -> Any:
        if not _is_of_api(name):
            return builtins.__import__(name, *args)
        wanted = args[2] if len(args) > 2 else ()
        return _module(name) if wanted else _module(name.split(".", maxsplit=1)[0])


def _package(function: Callable[..., Any]) -> str:
    return function.__module__.split(".")[0]


def _is_of_api(module: str) -> bool:
    """Whether a module is pyspark's, or one of sqlframe's that stand for it (sqlframe.duckdb)."""
    return module.split(".", maxsplit=1)[0] in (_API, "sqlframe")


def _module(name: str) -> Any:
    """What stands for a module: ``pyspark.sql.functions``, ``sqlframe.duckdb.functions``, …"""
    known = {
        "types": "sqlframe.standalone.types",
        "window": "sqlframe.standalone.window",
        "column": "sqlframe.standalone.column",
        "dataframe": "sqlframe.standalone.dataframe",
    }
    package, _, rest = name.partition(".")
    engine, _, part = rest.partition(".")
    if part == "functions":
        return _FUNCTIONS
    if part in known:
        return importlib.import_module(known[part])
    if engine and not part:
        parts = {name: importlib.import_module(path) for name, path in known.items()}
        objects = {n: _object(n) for n in ("Column", "DataFrame", "Window")}
        return types.SimpleNamespace(**parts, **objects, functions=_FUNCTIONS)
    if not rest:
        engines = ("sql",) if package == _API else ("duckdb", "spark", "standalone", "databricks")
        module = _module(f"{package}.{engines[0]}")
        return types.SimpleNamespace(**dict.fromkeys(engines, module))
    raise TransformError(f"ns.pyspark: {name} has nothing that a row-wise function needs")


def _object(name: str) -> Any:
    """What stands for a class or function of pyspark."""
    from sqlframe.standalone import Column, StandaloneDataFrame, Window
    from sqlframe.standalone import types as data_types

    named = {"Column": Column, "DataFrame": StandaloneDataFrame, "Window": Window}
    if name in named:
        return named[name]
    if hasattr(data_types, name):
        return getattr(data_types, name)
    return getattr(_FUNCTIONS, name)

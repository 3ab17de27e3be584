"""Which SQL is row-wise: what runs, what is refused and why, and that what runs keeps its rows."""

from __future__ import annotations

import threading

import pyarrow as pa
import pytest

import noskew as ns
from noskew.definitions.sql_check import check_expression, check_transform
from noskew.definitions.sql_engine import with_row_numbers
from noskew.definitions.sql_functions import kinds_of
from noskew.errors import DefinitionError, TransformError
from noskew.kernel.transforms.sql import SqlEngine
from noskew.types import Schema

COLUMNS = Schema(
    {
        "a": int,
        "b": "list<int64>",
        "ts": "timestamp",
        "s": str,
        "x": float,
        "ok": bool,
        "user": str,
        "src": int,
        "d": "decimal(10, 2)",
    }
)
BATCH = pa.table(
    {
        "a": pa.array([1, None, -3], pa.int64()),
        "b": pa.array([[1, 2], None, []], pa.list_(pa.int64())),
        "ts": pa.array([0, None, 1], pa.timestamp("us", "UTC")),
        "s": pa.array(["it's", None, "X"]),
        "x": pa.array([0.5, float("nan"), None]),
        "ok": pa.array([True, None, False]),
        "user": pa.array(["u", "v", None]),
        "src": pa.array([7, 8, 9], pa.int64()),
        "d": pa.nulls(3, pa.decimal128(10, 2)),
    }
)

FINE = {
    "SELECT a FROM src": "a: int64",
    "select A as a from SRC": "a: int64",
    "SELECT a FROM src;": "a: int64",
    "/* a */ SELECT a -- and no more\nFROM src -- ;": "a: int64",
    "FROM src SELECT a": "a: int64",
    "FROM src": ", ".join(f"{n}: {k}" for n, k in COLUMNS.texts().items()),
    'SELECT * EXCLUDE (b, ts, s, x, ok, src, d, "user") FROM src': "a: int64",
    "SELECT * EXCLUDE (b, ts, s, x, ok, src, d) REPLACE (a + 1 AS a) FROM src": "a: int64, user: string",
    "SELECT t.a FROM src AS t": "a: int64",
    "SELECT t.* EXCLUDE (b, ts, s, x, ok, src, d) FROM src t": "a: int64, user: string",
    "SELECT a, a + 1 AS more, more * 2 AS most FROM src": "a: int64, more: int64, most: int64",
    "SELECT z FROM (SELECT a AS z FROM src) AS inside WHERE z > 0": "z: int64",
    "SELECT z FROM (SELECT a FROM src) AS inside(z)": "z: int64",
    "WITH one AS (SELECT a FROM src), two AS (SELECT * FROM one) SELECT a FROM two": "a: int64",
    "WITH src AS (SELECT a + 1 AS a FROM src) SELECT a FROM src": "a: int64",
    "WITH one(z) AS (SELECT a FROM src) SELECT z FROM one": "z: int64",
    "WITH one AS MATERIALIZED (SELECT a FROM src) SELECT a FROM one": "a: int64",
    "SELECT CASE WHEN ok THEN s ELSE 'no' END AS c FROM src": "c: string",
    "SELECT COALESCE(a, 0) AS c, NULLIF(a, 1) AS n, IF(ok, 1, 2) AS i FROM src": "c: int64, n: int64, i: int32",
    "SELECT a IN (1, 2) AS i, a BETWEEN 1 AND 2 AS t, a IS NULL AS n, NOT ok AS o FROM src": "i: bool, t: bool, n: bool, o: bool",
    "SELECT a IS DISTINCT FROM 1 AS i, s LIKE 'a%' AS l, s ~ 'x+' AS m FROM src": "i: bool, l: bool, m: bool",
    "SELECT list_aggregate(b, 'max') AS m, list_sum(b)::BIGINT AS t, b[1] AS f FROM src": "m: int64, t: int64, f: int64",
    "SELECT [y + 1 FOR y IN b IF y > 1] AS l, list_transform(b, lambda y: y * 2) AS t FROM src": "l: list<int64>, t: list<int64>",
    "SELECT list_count(b) AS n, list_sort(b) AS s, array_to_string(b, ',') AS t FROM src": "n: int64, s: list<int64>, t: string",
    "SELECT date_trunc('day', ts) AS day, EXTRACT(hour FROM ts) AS hour FROM src": "day: timestamp, hour: int64",
    "SELECT ts + INTERVAL 1 HOUR AS later, epoch_us(ts) AS us FROM src": "later: timestamp, us: int64",
    "SELECT ts AT TIME ZONE 'Europe/Berlin' AS there FROM src": "there: timestamp",
    "SELECT TRY_CAST(s AS INTEGER) AS i, CAST(a AS DOUBLE) AS f FROM src": "i: int32, f: float64",
    "SELECT a // 2 AS q, a % 2 AS r, a ** 2 AS p, -a AS m FROM src": "q: int64, r: int64, p: float64, m: int64",
    "SELECT s || 'x' AS c, upper(s) AS u, split_part(s, '-', 1) AS p FROM src": "c: string, u: string, p: string",
    "SELECT regexp_extract(s, '([a-z])', 1) AS r, length(s) AS n, md5(s) AS h FROM src": "r: string, n: int64, h: string",
    "SELECT {'k': a}.k AS k, struct_pack(v := s).v AS v FROM src": "k: int64, v: string",
    'SELECT "a" AS "b" FROM "src"': "b: int64",
    "SELECT user, src FROM src": "user: string, src: int64",
    "SELECT t.user FROM (SELECT src.user FROM src) AS t": "user: string",
    "SELECT s COLLATE NOCASE AS s FROM src WHERE s <> 'a' AND (x > 0 OR isnan(x))": "s: string",
    "SELECT greatest(a, 0) AS g, round(x, 2) AS r, TRY(a / 0) AS t FROM src": "g: int64, r: float64, t: float64",
    "SELECT d * 2 AS d FROM src": "d: decimal(18, 2)",
}

REFUSED = {
    # more than one row
    "SELECT sum(a) AS n FROM src": "aggregate",
    "SELECT COUNT(*) AS n FROM src": "aggregate",
    "SELECT count(*) FILTER (WHERE ok) AS n FROM src": "aggregate",
    "SELECT first(a ORDER BY x) AS n FROM src": "aggregate",
    "SELECT list(a) AS n FROM src": "aggregate",
    "SELECT mode(a) AS n FROM src": "aggregate",
    "SELECT a FROM src GROUP BY a": "GROUP BY",
    "SELECT a FROM src GROUP BY ALL": "GROUP BY",
    "SELECT GROUPING(a) AS g FROM src": "GROUP",
    "SELECT a FROM src HAVING a > 1": "GROUP BY",
    "SELECT row_number() OVER () AS n FROM src": "window",
    "SELECT lag(a) OVER (ORDER BY ts) AS n FROM src": "window",
    "SELECT a FROM src QUALIFY row_number() OVER () = 1": "QUALIFY",
    "SELECT DISTINCT a FROM src": "DISTINCT",
    "SELECT DISTINCT ON (a) a FROM src": "DISTINCT",
    "SELECT a FROM src ORDER BY a": "ORDER",
    "SELECT a FROM src LIMIT 1": "LIMIT",
    "SELECT a FROM src LIMIT 10%": "LIMIT",
    "SELECT a FROM src OFFSET 1": "LIMIT",
    "SELECT a FROM (SELECT a FROM src LIMIT 1)": "LIMIT",
    "WITH one AS (SELECT a FROM src ORDER BY a) SELECT a FROM one": "ORDER",
    "SELECT a FROM src UNION ALL SELECT a FROM src": "SET OPERATION",
    "SELECT a FROM src EXCEPT SELECT 1": "SET OPERATION",
    "WITH RECURSIVE r AS (SELECT a FROM src UNION ALL SELECT a + 1 FROM r WHERE a < 9) "
    "SELECT a FROM r": "RECURSIVE",
    # other tables
    "SELECT t.a FROM src AS t, src AS u": "join",
    "SELECT t.a FROM src t JOIN src u USING (a)": "join",
    "SELECT a FROM src POSITIONAL JOIN (SELECT 1 AS z)": "join",
    "SELECT t.a FROM src t ASOF JOIN src u ON t.ts >= u.ts": "join",
    "SELECT a FROM src SEMI JOIN src u USING (a)": "join",
    "SELECT a, z FROM src, LATERAL (SELECT a + 1 AS z)": "join",
    "SELECT a, z FROM src, unnest(b) AS t(z)": "join",
    "SELECT a FROM src CROSS JOIN range(3)": "join",
    "SELECT a FROM other": "'other'",
    "SELECT a FROM main.src": "alone",
    "SELECT table_name FROM information_schema.tables": "alone",
    "SELECT a FROM src AT (VERSION => 1)": "alone",
    "SELECT a FROM 'data.csv'": "data.csv",
    "SELECT a FROM read_csv('data.csv')": "table function",
    "SELECT * FROM range(3)": "table function",
    "SELECT * FROM query('SELECT 1 AS a')": "table function",
    "SELECT * FROM duckdb_settings()": "table function",
    "VALUES (1)": "VALUES",
    "SELECT a FROM (VALUES (1)) AS t(a)": "VALUES",
    "SELECT 1 AS a": "nothing",
    "WITH src AS (SELECT 1 AS a) SELECT a FROM src": "nothing",
    "WITH k AS (SELECT 1 AS one) SELECT one FROM k": "nothing",
    "SELECT two.a FROM (WITH one AS (SELECT a FROM src) SELECT a FROM one) AS two, one": "join",
    "SELECT a FROM one": "'one'",
    "SELECT a FROM (WITH one AS (SELECT a FROM src) SELECT 1 AS a) AS t": "nothing",
    # subqueries as values
    "SELECT (SELECT 1) AS n FROM src": "subquery",
    "SELECT (SELECT max(u.a) FROM src u WHERE u.s = src.s) AS n FROM src": "subquery",
    "SELECT a FROM src WHERE a IN (SELECT a FROM src)": "subquery",
    "SELECT a FROM src WHERE EXISTS (SELECT 1)": "subquery",
    "SELECT a > ANY (SELECT 1) AS n FROM src": "subquery",
    "SELECT ARRAY(SELECT a FROM src) AS n FROM src": "subquery",
    # several rows of one
    "SELECT unnest(b) AS n FROM src": "several rows",
    "SELECT a, UNNEST([1, 2]) AS n FROM src": "several rows",
    "SELECT generate_subscripts(b, 1) AS n FROM src": "depends on more|several rows",
    "SELECT regexp_split_to_table(s, ',') AS n FROM src": "depends on more|several rows",
    "SELECT a FROM src PIVOT (sum(x) FOR ok IN (true, false))": "PIVOT",
    "PIVOT src ON ok USING sum(a)": "one SELECT",
    "UNPIVOT src ON a, src INTO NAME n VALUE v": "SELECT|UNPIVOT|PIVOT",
    # chance, time, session, files
    "SELECT a FROM src USING SAMPLE 3": "chance",
    "SELECT a FROM src TABLESAMPLE 10%": "chance",
    "SELECT a FROM (SELECT a FROM src USING SAMPLE 10%)": "chance",
    "SELECT random() AS n FROM src": "more than the row",
    "SELECT RANDOM() AS n FROM src": "more than the row",
    "SELECT uuid() AS n FROM src": "more than the row",
    "SELECT uuidv7() AS n FROM src": "more than the row",
    "SELECT list_aggregate(b, 'reservoir_quantile', 0.5) AS n FROM src": "more than the row",
    "SELECT now() AS n FROM src": "more than the row",
    "SELECT main.now() AS n FROM src": "more than the row",
    "SELECT a FROM src WHERE ts > get_current_timestamp()": "more than the row",
    "SELECT current_date AS n FROM src": "more than the row",
    'SELECT "current_date" AS n FROM src': "more than the row",
    "SELECT current_date() AS n FROM src": "more than the row",
    "SELECT CURRENT_TIMESTAMP AS n FROM src": "more than the row",
    "SELECT localtimestamp AS n FROM src": "more than the row",
    "SELECT current_localtimestamp() AS n FROM src": "more than the row",
    "SELECT today() AS n FROM src": "more than the row",
    "SELECT age(ts) AS n FROM src": "more than the row",
    "SELECT ago(INTERVAL 1 DAY) AS n FROM src": "more than the row",
    "SELECT current_user AS n FROM src": "more than the row",
    "SELECT user FROM (SELECT a FROM src)": "more than the row",
    "SELECT current_setting('TimeZone') AS n FROM src": "more than the row",
    "SELECT getvariable('x') AS n FROM src": "more than the row",
    "SELECT nextval('seq') AS n FROM src": "more than the row",
    "SELECT txid_current() AS n FROM src": "more than the row",
    "SELECT hash(a) AS n FROM src": "more than the row",
    "SELECT pg_typeof(a) AS n FROM src": "more than the row",
    "SELECT list_transform(b, lambda y: y + random()) AS n FROM src": "more than the row",
    "SELECT * REPLACE (random() AS x) FROM src": "more than the row",
    "SELECT read_text('/etc/passwd') AS n FROM src": "several rows|no such function",
    "SELECT getenv('HOME') AS n FROM src": "more than the row|no such function",
    # all columns of the engine's own table, the row number among them
    "SELECT _row AS n FROM src": "reserved",
    "SELECT a AS _ROW FROM src": "reserved",
    'SELECT * EXCLUDE ("_row") FROM src': "reserved",
    "SELECT COLUMNS(*) FROM src": "COLUMNS",
    "SELECT COLUMNS('a|_r.*') FROM src": "COLUMNS",
    "SELECT COLUMNS(c -> c LIKE '%row') FROM src": "COLUMNS",
    "SELECT * LIKE 'a%' FROM src": r"\*|COLUMNS",
    "SELECT to_json(t) AS n FROM src AS t": "more than the row",
    "SELECT t::VARCHAR AS n FROM src AS t": "more than the row",
    "SELECT struct_pack(*COLUMNS(*)) AS n FROM src": "COLUMNS|UNPACK|inside",
    "SELECT k.* FROM (SELECT {'a': a} AS k FROM src)": r"k\.\*",
    # not a SELECT at all
    "": "one SELECT",
    ";": "one SELECT",
    "SELECT a FROM src; SELECT a FROM src": "got 2",
    "SELECT a FROM src; DROP TABLE src": "one SELECT|got 2",
    "ATTACH 'x.db'": "one SELECT",
    "PRAGMA database_list": "one SELECT",
    "SET threads = 1": "one SELECT",
    "COPY src TO 'x.csv'": "one SELECT",
    "CREATE MACRO m(z) AS z + 1": "one SELECT",
    "INSTALL httpfs": "one SELECT",
    "EXPLAIN SELECT a FROM src": "one SELECT",
    "DESCRIBE src": "SELECT",
    "SUMMARIZE src": "SELECT",
    "CALL duckdb_settings()": "one SELECT",
    "SELEC a FROM src": "syntax error",
    # no answer
    "SELECT b2 FROM src": "b2",
    "SELECT no_such(a) AS n FROM src": "no such function",
    "SELECT a, a FROM src": "'a' twice",
    "SELECT $1 AS n FROM src": "parameters",
    "SELECT ? AS n FROM src": "parameters",
    "SELECT #1 FROM src": "POSITIONAL",
    "SELECT MAP {'k': a} AS m FROM src": "'m'.*not supported",
    "SELECT a + 1 FROM src": "not a name",
    "SELECT rowid FROM src": "rowid",
}


@pytest.mark.parametrize("sql", FINE)
def test_fine_statements(sql: str) -> None:
    found = check_transform(sql, "src", COLUMNS, "here")
    assert ", ".join(f"{n}: {k}" for n, k in found.texts().items()) == FINE[sql]
    # And it runs, alone and beside others, with the rows it comes from.
    engine = SqlEngine(sql, "src", "here")
    together = engine(BATCH)
    assert engine(BATCH.slice(0, 0)).num_rows == 0
    singly = [engine(BATCH.slice(i, 1)) for i in range(3)]
    rows = [i for i, made in enumerate(singly) for _ in range(made.num_rows)]
    assert together.column("_row").to_pylist() == rows
    together = together.drop_columns(["_row"])
    alone = [made.drop_columns(["_row"]).to_pylist() for made in singly]
    assert repr(together.to_pylist()) == repr([event for events in alone for event in events])


@pytest.mark.parametrize("sql", REFUSED)
def test_refused_statements(sql: str) -> None:
    with pytest.raises(DefinitionError, match=f"(?i)here.*({REFUSED[sql]})"):
        check_transform(sql, "src", COLUMNS, "here")


EXPRESSIONS = [
    "ok",
    "a > 1",
    "a > 1 -- really",
    "ok AND (x IS NULL OR s LIKE '%--%')",
    "list_contains(b, 1)",
    "user = 'u'",
    "a IN (1, 2)",
    "/* a */ ok",
]
NO_EXPRESSIONS = {
    "a": "true/false",
    "s": "true/false",
    "a +": "syntax error",
    "": "not supported",
    "ok; DROP TABLE x": "syntax error|got 2",
    "sum(a) > 1": "aggregate",
    "ts < now()": "more than",
    "ok) AS x, (ok": "one expression",
    "ok) FROM source_rows --": "syntax error|expression",
    "a > (SELECT 1)": "subquery",
    "random() < 0.5": "more than",
    "nothing": "nothing",
    "a > 1) UNION ALL SELECT (ok": "nothing|SET|syntax",
    "_row = 1": "reserved",
    "ok) OR (row_number() OVER () = 1": "window",
    "ok\n) AS keep FROM source_rows LIMIT 1 --": "LIMIT|syntax",
}


@pytest.mark.parametrize("sql", EXPRESSIONS)
def test_filters(sql: str) -> None:
    check_expression(sql, COLUMNS, "here")


@pytest.mark.parametrize("sql", NO_EXPRESSIONS)
def test_what_is_no_filter(sql: str) -> None:
    with pytest.raises(TransformError, match=f"(?i)here.*({NO_EXPRESSIONS[sql]})"):
        check_expression(sql, COLUMNS, "here")


def test_row_numbers_pass_through_every_level() -> None:
    sql = "WITH big AS (SELECT a FROM src) SELECT z FROM (SELECT a AS z FROM big) AS t WHERE z > 0"
    assert with_row_numbers(sql).count("_row") == 3
    assert with_row_numbers("SELECT * FROM src").count("_row") == 0


def test_errors_say_what_to_do() -> None:
    with pytest.raises(TransformError) as caught:
        check_transform("SELECT avg(a) AS n FROM src", "src", COLUMNS, "feature view 'v'")
    message = str(caught.value)
    assert message.startswith("feature view 'v': avg() is refused")
    assert "ns.mean" in message
    with pytest.raises(TransformError, match=r"Columns of 'src': \{a: int64"):
        check_transform("SELECT c FROM src", "src", COLUMNS, "v")


def test_threads_do_not_share_a_connection() -> None:
    found: list[object] = []

    def work(number: int) -> None:
        sql = f"SELECT a + {number} AS n FROM src"
        try:
            found.append(check_transform(sql, "src", COLUMNS, "here").texts())
        except Exception as error:  # noqa: BLE001 - told to the test's own thread
            found.append(error)

    threads = [threading.Thread(target=work, args=(i,)) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [{"n": "int64"}] * 8


_TWO_CASES = {"uid": int, "at": "timestamp", "x": float, "X": float}


def test_names_that_differ_in_capital_letters_are_refused_where_sql_reads_them() -> None:
    """DuckDB read the first of them wherever any was named, and every path had its value."""
    user = ns.Entity("user", {"uid": int})
    source = ns.Source("s", _TWO_CASES, event_time="at")
    said = "SQL takes the columns 'x' and 'X' for one"
    plain = ns.FeatureView("v", entity=user, source=source, features=["x", "X"])
    one = ns.FeatureView("w", entity=user, source=source, features=["x"])
    for sql in ('SELECT "X" AS large FROM s', "SELECT uid, at, 1 AS large FROM s"):
        with pytest.raises(TransformError, match=said):
            ns.FeatureView(
                "t", entity=user, source=source, transform=ns.sql(sql), features=["large"]
            )
    with pytest.raises(TransformError, match=said):
        ns.Source("s", _TWO_CASES, event_time="at", filter='"X" > 3')
    with pytest.raises(TransformError, match=said):
        ns.OnDemand("d", ns.expressions({"d": '"X" - x'}), inputs=[plain])
    with pytest.raises(TransformError, match=said):
        ns.OnDemand("d", ns.expressions({"d": "X * 10"}), inputs=[one], request={"X": float})


@pytest.mark.parametrize(
    "sql",
    [
        'WITH t AS (SELECT x AS a, y AS "A" FROM s) SELECT "A" AS b FROM t',
        'SELECT "A" AS b FROM (SELECT x AS a, y AS "A" FROM s) AS t',
        'SELECT "X" AS b FROM (SELECT x, y AS "X" FROM s) AS t',
    ],
)
def test_so_are_those_of_inner_selects(sql: str) -> None:
    columns = Schema({"uid": int, "x": float, "y": float})
    with pytest.raises(TransformError, match="for one"):
        check_transform(sql, "s", columns, "view 'v'")


def test_names_that_only_python_reads_may_differ_in_capital_letters() -> None:
    user = ns.Entity("user", {"uid": int})
    source = ns.Source("s", _TWO_CASES, event_time="at")
    view = ns.FeatureView("v", entity=user, source=source, features=["x", "X"])
    assert list(view.features) == ["x", "X"]


@pytest.mark.parametrize("of_the_zone", ["CONSISTENT", "CONSISTENT_WITHIN_QUERY"])
def test_functions_of_the_time_zone_are_allowed_whatever_a_release_calls_them(
    of_the_zone: str,
) -> None:
    """DuckDB 2.0.1 changed the stability of overloads, and ``a - b`` was refused."""
    zoned, query = "TIMESTAMP WITH TIME ZONE", "CONSISTENT_WITHIN_QUERY"
    kinds = kinds_of(
        [
            ("-", "scalar", ["BIGINT", "BIGINT"], "BIGINT", "CONSISTENT"),
            ("-", "scalar", [zoned, "INTERVAL"], zoned, of_the_zone),
            ("hour", "scalar", [zoned], "BIGINT", of_the_zone),
            ("timezone", "scalar", ["VARCHAR", "TIMESTAMP"], zoned, of_the_zone),
            ("now", "scalar", [], zoned, query),
            ("today", "scalar", [], "DATE", query),
            ("currval", "scalar", ["VARCHAR"], "BIGINT", query),
            ("random", "scalar", [], "DOUBLE", "VOLATILE"),
            ("shift", "scalar", [zoned], zoned, "VOLATILE"),
        ]
    )
    pure = {name for name, kind in kinds.items() if kind == "pure"}
    assert pure == {"-", "hour", "timezone"}


def test_the_engine_in_use_allows_arithmetic_and_parts_of_times() -> None:
    columns = Schema({"a": int, "ts": "timestamp"})
    sql = (
        "SELECT a - 1 AS b, a + 1 AS c, hour(ts) AS d, date_trunc('day', ts) AS e, "
        "date_diff('hour', ts, ts + INTERVAL 1 DAY) AS f FROM s"
    )
    assert list(check_transform(sql, "s", columns, "view 'v'")) == ["b", "c", "d", "e", "f"]

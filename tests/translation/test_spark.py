"""What is written for Spark means in noskew what it means in Spark."""

from __future__ import annotations

import random
import struct
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa
import pytest

import noskew as ns
from noskew.errors import TransformError
from noskew.kernel.transforms.pipeline import Pipeline
from noskew.translation.spark.language import SparkLanguage
from tests.translation.engines import bits, is_close, kind_of, met, run, select, sql_view
from tests.translation.rows import SOURCE, table
from tests.translation.spark_expressions import EXPRESSIONS, PATTERNS, REFUSED, REFUSED_PATTERNS

ALL = [line for line in EXPRESSIONS.splitlines() if line]
MATCHES = [f"s RLIKE r'{p}'" for p in PATTERNS.splitlines() if p]
CLOSE = {name for name, known in SparkLanguage.functions.items() if known.close}


class Rows:
    """What both engines make of expressions, for the same rows."""

    def __init__(self, spark: Any, expressions: Sequence[str], rows: pa.Table) -> None:
        self.ours = run(sql_view(expressions, "spark"), rows)
        spark.createDataFrame(rows).createOrReplaceTempView("events")
        self.theirs = spark.sql(select(expressions)).toArrow()

    def compare(self, at: int, text: str) -> None:
        a, b = self.ours[f"c{at}"], self.theirs[f"c{at}"]
        assert kind_of(a) == kind_of(b)
        if any(f"{name}(" in text for name in CLOSE):
            assert all(map(is_close, a.to_pylist(), b.to_pylist()))
        else:
            assert bits(a) == bits(b)


@pytest.fixture(scope="module")
def both(spark: Any) -> Rows:
    return Rows(spark, [*ALL, *MATCHES], table())


@pytest.mark.parametrize("at", range(len(ALL)), ids=ALL)
def test_an_expression_means_what_spark_computes(at: int, both: Rows) -> None:
    both.compare(at, ALL[at])


@pytest.mark.parametrize("at", range(len(MATCHES)), ids=MATCHES)
def test_a_pattern_matches_what_it_matches_in_java(at: int, both: Rows) -> None:
    both.compare(len(ALL) + at, MATCHES[at])


@pytest.mark.parametrize("pattern", [p for p in REFUSED_PATTERNS.splitlines() if p])
def test_a_pattern_that_re2_lacks_or_reads_differently_is_refused(pattern: str) -> None:
    with pytest.raises(TransformError, match="is refused: the pattern"):
        sql_view([f"s RLIKE r'{pattern}'"], "spark")


def test_single_rows_and_any_order_give_the_same_bits(both: Rows) -> None:
    rows, view, chance = table(), sql_view(ALL, "spark"), random.Random(5)
    order = list(range(len(rows)))
    chance.shuffle(order)
    shuffled = run(view, rows.take(order))
    singly = pa.concat_tables([run(view, rows.slice(at, 1)) for at in order[:5]])
    for at in range(len(ALL)):
        expected = both.ours[f"c{at}"]
        assert bits(shuffled[f"c{at}"]) == bits(expected.take(order)), ALL[at]
        assert bits(singly[f"c{at}"]) == bits(expected.take(order[:5])), ALL[at]


def test_every_function_of_the_table_was_compared_and_there_are_many() -> None:
    assert set(SparkLanguage.functions) - met(SparkLanguage(), ALL) == set()
    assert len([n for n in SparkLanguage.functions if n.isidentifier()]) >= 120
    assert not set(SparkLanguage.functions) & set(SparkLanguage.refused)


def test_what_the_table_calls_a_function_is_one_of_spark(spark: Any) -> None:
    known = {row[0] for row in spark.sql("SHOW FUNCTIONS").collect()}
    ours = {n for n in SparkLanguage.functions if n.isidentifier()} - {"timestampadd"}  # syntax
    assert ours - known == set()


@pytest.mark.parametrize(("text", "reason"), REFUSED)
def test_what_cannot_be_the_same_is_refused_with_its_reason(text: str, reason: str) -> None:
    with pytest.raises(TransformError, match=reason):
        sql_view([text], "spark")


# ------------------------------------------------------------------- many values, by chance

ZONES = [
    "America/New_York",
    "Europe/London",
    "Australia/Lord_Howe",
    "Asia/Kolkata",
    "America/Sao_Paulo",
    "Pacific/Apia",
    "Europe/Moscow",
]
ON_CHANCE = [
    *(f"round(x, {places})" for places in (0, 1, 2, 3, 6)),
    "bround(x, 2)",
    "round(f, 2)",
    "CAST(x AS DECIMAL(20, 4))",
    "CAST(CAST(x AS DECIMAL(30, 6)) AS DOUBLE)",
    "CAST(x AS FLOAT)",
    "CAST(x AS INT)",
    "CAST(x AS BIGINT)",
    "CAST(t AS DOUBLE)",
    "CAST(t AS FLOAT)",
    "CAST(t AS DECIMAL(20, 3))",
    "CAST(t AS BIGINT)",
    "CAST(n AS DOUBLE)",
    "CAST(n AS FLOAT)",
    "x % 7.3D",
    "pmod(n, 1000)",
    "n * n",
    "round(n, -3)",
    "weekofyear(at)",
    "date_trunc('week', at)",
    "months_between(at, TIMESTAMP '2001-02-28 10:00:00')",
    "date_format(at, 'EEE d MMM yyyy h:mm a')",
    *(f"from_utc_timestamp(at, '{zone}')" for zone in ZONES),
    *(f"to_utc_timestamp(at, '{zone}')" for zone in ZONES),
]


def by_chance(count: int, seed: int) -> pa.Table:
    """Floats of all sizes and of few digits, and times near the turns of clocks."""
    chance = random.Random(seed)
    makers = [
        lambda: struct.unpack("<d", chance.randbytes(8))[0],
        lambda: round(chance.uniform(-1000, 1000), chance.randrange(4)),
        lambda: chance.randrange(-(10**6), 10**6) / 1000 * 5,
        lambda: chance.uniform(-1, 1) * 10.0 ** chance.randrange(-10, 15),
        lambda: chance.randrange(-(10**7), 10**7) / 2.0 ** chance.randrange(20),
    ]
    x = [chance.choice(makers)() for _ in range(count)]
    # Java 17 writes some floats beyond 10^15 with a digit more than it needs.
    x = [v if abs(v) < 1e15 or not abs(v) < 1e20 else v / 1e9 for v in x]
    start = datetime(1950, 1, 1, tzinfo=UTC)
    turns = [datetime(y, m, 20, tzinfo=UTC) for y in range(1980, 2031) for m in (3, 10)]
    at = [
        chance.choice(turns) + timedelta(minutes=30 * chance.randrange(-900, 900))
        if chance.random() < 0.7
        else start + timedelta(minutes=chance.randrange(80 * 525_960))
        for _ in range(count)
    ]
    columns: dict[str, Any] = {
        "user_id": list(range(count)),
        "at": at,
        "n": [chance.randrange(-(2**63), 2**63) for _ in at],
        "x": x,
        "f": x,
        "t": [repr(v) if chance.random() < 0.5 else f"{v:.3f}" for v in x],
    }
    columns["f"] = pa.array(x).cast(pa.float32())
    blank = {
        name: pa.nulls(count, kind)
        for name, kind in zip(SOURCE.schema.arrow.names, SOURCE.schema.arrow.types, strict=True)
    }
    made = {**blank, **columns}
    return pa.table({f.name: pa.array(made[f.name], f.type) for f in SOURCE.schema.arrow})


def test_values_by_chance_give_the_same_bits(spark: Any) -> None:
    both = Rows(spark, ON_CHANCE, by_chance(3_000, seed=11))
    for at, text in enumerate(ON_CHANCE):
        both.compare(at, text)


# ------------------------------------------------------------------------------- statements

STATEMENTS = [
    "SELECT user_id, n, N + 1 AS more FROM EVENTS WHERE n > 1 AND s IS NOT NULL",
    "SELECT *, n + 1 AS more FROM events",
    "SELECT * EXCEPT (s, u), events.n % 2 AS more FROM events",
    "SELECT e.user_id, e.n, more FROM (SELECT *, n * 2 AS more FROM events WHERE ok) AS e",
    "WITH a AS (SELECT user_id, n, upper(s) AS S2 FROM events), "
    "b AS (SELECT user_id, n, length(s2) AS more FROM a WHERE s2 LIKE 'A%') SELECT * FROM b",
    "SELECT user_id, n, n + 1 AS one, one * 2 AS more FROM events",
    "SELECT `user_id`, `n`, CASE WHEN x > 1.5 THEN 'b' ELSE \"it's\" END AS more FROM events t",
]


@pytest.mark.parametrize("statement", STATEMENTS)
def test_a_statement_keeps_the_rows_and_columns_of_spark(statement: str, spark: Any) -> None:
    rows = table()
    spark.createDataFrame(rows).createOrReplaceTempView("events")
    theirs = spark.sql(statement).toArrow()
    view = ns.FeatureView(
        "view",
        entity=ns.Entity("user", {"user_id": int}),
        source=SOURCE,
        features=["n", "more"] if "more" in theirs.column_names else ["n"],
        transform=ns.sql(statement, dialect="spark"),
    )
    events = Pipeline(view)(rows, known_time=2**61 // 10, buckets=1).events
    for name in ("user_id", *view.features):
        assert bits(events[name]) == bits(theirs[name])


@pytest.mark.parametrize(
    ("statement", "reason"),
    [
        ("SELECT DISTINCT n FROM events", "DISTINCT looks at other rows"),
        ("SELECT n FROM events ORDER BY n", "ORDER"),
        ("SELECT n FROM events LIMIT 1", "LIMIT"),
        ("SELECT n FROM events GROUP BY n", "GROUP BY looks at many rows"),
        ("SELECT e.n FROM events e JOIN events f ON e.n = f.n", "join"),
        ("SELECT n FROM events UNION SELECT n FROM events", "set operations"),
        ("SELECT n FROM events LATERAL VIEW explode(items) t AS i", "several rows of one"),
        ("SELECT n FROM events TABLESAMPLE (10 PERCENT)", "sampling depends on chance"),
        ("SELECT n FROM events SORT BY n", "SORT BY"),
        ("SELECT n FROM other.events", "selects from its source"),
        ("SELECT n FROM range(5)", "is not the source|selects from"),
        ("SELECT 1 AS n", "selects from nothing"),
        ("SELECT f.n FROM events e", "there is no table 'f'"),
        ("SELECT missing AS n FROM events", "no column 'missing'.*Columns of 'events'"),
        ("SELECT n + 1 FROM events", r"n \+ 1 needs a name"),
        ("SELECT n, n FROM events", "the column 'n' twice"),
        ("SELECT n FROM events WHERE n IN (SELECT k FROM events)", "a subquery"),
        ("SELECT n FROM events WHERE (SELECT max(k) FROM events) > n", "a subquery"),
        ("SELECT n FROM events QUALIFY rank() OVER (ORDER BY n) = 1", "looks at other rows"),
        ("WITH RECURSIVE r AS (SELECT n FROM events) SELECT n FROM r", "recursion"),
        ("SELECT /*+ BROADCAST(e) */ * EXCEPT (nope) FROM events e", "no column 'nope'"),
        ("INSERT INTO events SELECT * FROM events", "expected one SELECT statement"),
    ],
)
def test_what_looks_beyond_the_row_is_refused(statement: str, reason: str) -> None:
    with pytest.raises(TransformError, match=reason):
        ns.FeatureView(
            "view",
            entity=ns.Entity("user", {"user_id": int}),
            source=SOURCE,
            features=["n"],
            transform=ns.sql(statement, dialect="spark"),
        )


def test_a_statement_that_grows_beyond_measure_is_refused() -> None:
    text = "t"
    for _ in range(20):
        text = f"CAST(CAST({text} AS INT) AS STRING)"
    with pytest.raises(TransformError, match="name the steps of what is computed"):
        sql_view([text], "spark")

"""Functions and methods of PySpark, as they are called, for Spark and for noskew."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal

import pyspark.sql.functions as F
from pyspark.sql import Column, DataFrame
from pyspark.sql.types import DecimalType, IntegerType, StringType

NAN = float("nan")


def functions() -> list[Column]:
    c = F.col
    return [
        F.abs("n"), F.acos("x"), F.add_months("d", 2), F.add_months("d", F.lit(2)),
        F.aggregate("items", F.lit(0).cast("bigint"), lambda a, b: a + F.coalesce(b, F.lit(1))),
        F.array("n", "k"), F.array([c("n"), c("k")]), F.array_append("items", 5),
        F.array_compact("items"), F.array_contains("words", "a"), F.array_distinct("words"),
        F.array_join("words", ","), F.array_join("words", ",", "?"), F.array_max("items"),
        F.array_min("items"), F.array_position("items", 2), F.array_prepend("items", 5),
        F.array_remove("items", 1), F.array_repeat("n", 2), F.array_size("items"),
        F.array_sort("items"), F.arrays_overlap("items", "others"), F.ascii("s"), F.asin("x"),
        F.atan("x"), F.atan2("x", "y"), F.atan2("x", 1.5), F.base64("raw"), F.bin("n"),
        F.bit_count("n"), F.bit_length("s"), F.bitwise_not("n"), F.bround("x", 1),
        F.bround("x"), F.btrim("s"), F.btrim("s", F.lit("a")), F.cardinality("items"), F.cbrt("x"),
        F.ceil("x"), F.ceiling("x"), F.char("h"), F.char_length("s"), F.character_length("s"),
        F.coalesce("n", "k", F.lit(0)), F.concat("s", F.lit("-"), "u"), F.concat_ws("-", "s", "u"),
        F.contains("s", F.lit("a")), F.cos("x"), F.cosh("x"), F.cot("x"), F.date_add("d", 3),
        F.date_diff("d", "d2"), F.date_format("at", "yyyy/MM/dd"), F.date_from_unix_date("tiny"),
        F.date_part(F.lit("month"), "at"), F.date_sub("d", 3), F.date_trunc("hour", "at"),
        F.dateadd("d", 3), F.datediff("d", "d2"), F.day("d"), F.dayname("d"), F.dayofmonth("d"),
        F.dayofweek("d"), F.dayofyear("d"), F.degrees("x"), F.e(), F.element_at("items", 1),
        F.endswith("s", F.lit("c")), F.equal_null("n", "k"), F.exists("items", lambda i: i > 1),
        F.exp("x"), F.expm1("x"), F.factorial("i"), F.filter("items", lambda i: i.isNotNull()),
        F.find_in_set(F.lit("a"), "s"), F.floor("x"), F.forall("items", lambda i: i > 0),
        F.from_unixtime("i"), F.from_unixtime("i", "yyyy"),
        F.from_utc_timestamp("at", "Asia/Tokyo"),
        F.get("items", 0), F.greatest("n", "k"), F.hex("n"), F.hour("at"), F.ifnull("n", "k"),
        F.ilike("s", F.lit("A%")), F.instr("s", "a"), F.isnan("x"), F.isnotnull("s"), F.isnull("s"),
        F.last_day("d"), F.lcase("s"), F.least("n", "k"), F.left("s", F.lit(2)), F.length("s"),
        F.like("s", F.lit("a%")), F.ln("x"), F.locate("a", "s"), F.locate("a", "s", 2), F.log("x"),
        F.log(2.0, "x"), F.log10("x"), F.log1p("x"), F.log2("x"), F.lower("s"),
        F.lpad("s", 5, "#"), F.lpad(col="s", len=6, pad="-"), F.ltrim("s"),
        F.make_date(F.lit(2020), "i", "h"), F.md5("s"), F.minute("at"), F.month("d"),
        F.monthname("d"), F.months_between("at", "until"), F.nanvl("x", "y"), F.negative("n"),
        F.next_day("d", "Mon"), F.nullif("n", "k"), F.nullifzero("n"), F.nvl("n", "k"),
        F.nvl2("s", "n", "k"), F.octet_length("s"), F.pi(), F.pmod("n", "k"), F.pmod("x", 2.5),
        F.position(F.lit("a"), "s"), F.positive("n"), F.pow("x", 2.0), F.power("x", "y"),
        F.quarter("d"), F.radians("x"), F.regexp("s", F.lit("a.c")),
        F.regexp_count("s", F.lit("a")),
        F.regexp_extract("s", r"(\d+)", 1), F.regexp_extract_all("s", F.lit(r"(\d)"), 1),
        F.regexp_like("s", F.lit("^a")), F.regexp_replace("s", r"\d", "#"), F.repeat("s", 2),
        F.replace("s", F.lit("a"), F.lit("b")), F.reverse("s"), F.right("s", F.lit(2)), F.rint("x"),
        F.rlike("s", F.lit("a")), F.round("x", 2), F.round("x"), F.rpad("s", 5, "#"), F.rtrim("s"),
        F.second("at"), F.sequence(F.lit(1), F.lit(3)), F.sha("s"), F.sha1("s"), F.sha2("s", 256),
        F.shiftleft("n", 2), F.shiftright("n", 2), F.shiftrightunsigned("n", 2), F.sign("x"),
        F.signum("x"), F.sin("x"), F.sinh("x"), F.size("items"), F.slice("items", 1, 2),
        F.sort_array("items"), F.sort_array("items", False), F.split("s", ","),
        F.split("s", "[,.]", -1), F.split_part("s", F.lit(","), F.lit(2)), F.sqrt("x"),
        F.startswith("s", F.lit("a")), F.substr("s", F.lit(2), F.lit(2)), F.substring("s", 2, 2),
        F.substring_index("s", ".", 1), F.tan("x"), F.tanh("x"), F.timestamp_micros("i"),
        F.timestamp_millis("i"), F.timestamp_seconds("i"), F.to_date("t"),
        F.to_date("t", "yyyy-MM-dd"), F.to_timestamp("t", "yyyy-MM-dd HH:mm:ss"),
        F.to_unix_timestamp("at"), F.to_utc_timestamp("at", "Asia/Tokyo"),
        F.transform("items", lambda i: i * 2), F.translate("s", "abc", "xy"), F.trim("s"),
        F.trunc("d", "month"), F.try_add("n", "k"), F.try_divide("x", "y"),
        F.try_multiply("n", "k"), F.try_subtract("n", "k"), F.ucase("s"), F.unix_date("d"),
        F.unix_micros("at"), F.unix_millis("at"), F.unix_seconds("at"), F.unix_timestamp("at"),
        F.unix_timestamp("t", "yyyy-MM-dd"), F.upper("s"), F.weekday("d"), F.weekofyear("d"),
        F.year("d"), F.zeroifnull("n"),
    ]  # fmt: skip


def methods(df: DataFrame) -> list[Column]:
    """Operators, methods and literals of columns."""
    c = F.col
    n, x, s = df["n"], df.x, c("s")
    return [
        n + 1, 1 - n, n * 2, n / 2, n % 7, -n, x * 1.5, x + 2, 1.0 / x, n * Decimal("1.50"), n > 1,
        (n > 1) == (x > 1), ((n > 1) == c("ok")).cast("int"), ~(n > 1), (n > 1) & (x > 1) | c("ok"),
        n.isNull(), (n > 1).isNull(), n.isNotNull(), n.isin(1, 2, 3), n.isin([1, 2]), ~n.isin(1),
        s.isin("a", "abc"), x.isNaN(), n.between(0, 5), x.between(0.5, 1.5), n.eqNullSafe(None),
        n.eqNullSafe(F.col("k")), n.cast("int"), n.cast(IntegerType()), n.astype("double"),
        x.cast(DecimalType(12, 3)), n.cast(StringType()), s.substr(2, 3), s.like("a%"),
        s.rlike("^[a-c]+$"), s.ilike("A%"), s.startswith("a"), s.endswith("c"), s.contains("b"),
        c("items")[0], c("items").getItem(1), n.bitwiseAND(3), n.bitwiseOR(3), n.bitwiseXOR(3),
        F.when(n > 1, 1.5).when(n > 0, 0.5).otherwise(-1.0), F.when(n > 1, n), F.lit(7),
        F.lit(2**40),
        F.lit("it's"), F.lit(True), F.lit(1.5), F.lit(-2.5), F.lit(NAN),
        F.lit(float("-inf")),
        F.lit(Decimal("-1.50")), F.lit(date(2020, 2, 29)), F.lit(datetime(2020, 1, 1, tzinfo=UTC)),
        F.lit(datetime(1960, 1, 1, 0, 0, 0, 1, tzinfo=UTC)), c("d") > date(2020, 1, 1),
        c("at") > datetime(2020, 1, 1, tzinfo=UTC), c("d") == "2020-02-29", x == NAN,
        F.expr("n * 1.5"), F.expr("to_date(t, 'yyyy-MM-dd')"),
        F.expr("CASE WHEN n > 1 THEN 'a' END"),
        F.concat(s, F.lit("x")), F.array(F.lit(1), F.lit(2)), F.lit([1, 2]),
        (n + 1) * 2, n - (1 - n), -(n + 1), (x > 1) != (x > 2), F.coalesce(n > 1, F.lit(False)),
        s.substr(F.lit(1), F.length(s) - 1), n.cast("string").alias("other").substr(1, 1),
    ]  # fmt: skip


def every(df: DataFrame) -> DataFrame:
    columns = [*functions(), *methods(df)]
    return df.select(*[column.alias(f"c{at}") for at, column in enumerate(columns)])


def in_steps(df: DataFrame) -> DataFrame:
    """Methods of a DataFrame."""
    kept = df.where(F.col("n").isNotNull()).filter("x > 1.5 OR x IS NULL")
    more = kept.withColumn("a", F.col("n") + 1).withColumns({"b": F.col("n") * 2, "c": F.lit(1)})
    renamed = more.withColumnRenamed("a", "one_more").drop("c")
    chosen = renamed.transform(lambda frame: frame.withColumn("e", frame.one_more % 3))
    made = chosen.selectExpr("user_id", "one_more", "b", "e", "b + 1.5 AS f", "upper(s) AS g")
    return made.select("*", (F.col("e") == 1).alias("h"))

"""Transforms that a team would write, in each of its frameworks, and what becomes of each.

One feature a transform: a column of a Spark SELECT, of a PySpark function, of a pandas function
and, where that is natural, of a Polars function. All give the same bits for the rows of
``rows.py``, or are refused.
"""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from decimal import ROUND_HALF_EVEN, ROUND_HALF_UP, Decimal, localcontext
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import polars as pl
import pyspark.sql.functions as F
from pyspark.sql import Column, DataFrame

#: Feature → the type it has everywhere, and its text in Spark SQL.
SPARK_SQL: dict[str, tuple[str, str]] = {
    # Dates and time zones.
    "hour_of_day": ("int32", "hour(at)"),
    "is_weekend": ("bool", "dayofweek(at) IN (1, 7)"),
    "day_of_year": ("int32", "dayofyear(at)"),
    "iso_week": ("int32", "weekofyear(at)"),
    "month_start": ("timestamp", "date_trunc('month', at)"),
    "hour_in_new_york": ("int32", "hour(from_utc_timestamp(at, 'America/New_York'))"),
    "day_in_tokyo": ("date", "to_date(from_utc_timestamp(at, 'Asia/Tokyo'))"),
    "days_between": ("int32", "datediff(d, d2)"),
    "next_month": ("date", "add_months(d, 1)"),
    "month_end": ("date", "last_day(d)"),
    "a_week_later": ("timestamp", "at + INTERVAL 7 DAYS"),
    "seconds": ("int64", "unix_seconds(at)"),
    "written_day": ("string", "date_format(at, 'yyyy-MM-dd HH:mm')"),
    "parsed_day": ("date", "to_date(t, 'yyyy-MM-dd')"),
    "loosely_parsed_day": ("date", "CAST(t AS DATE)"),
    "is_recent": ("bool", "d >= '2020-01-01'"),
    # Numbers: casts, integer division, modulo of negatives, rounding, overflow.
    "ratio": ("float64", "n / k"),
    "whole_hours": ("int64", "n DIV 60"),
    "remainder": ("int64", "n % 7"),
    "bucket": ("int64", "pmod(n, 7)"),
    "one_more": ("int64", "n + 1"),
    "cents": ("float64", "round(x, 2)"),
    "bankers": ("float64", "bround(x, 1)"),
    "cut_off": ("int32", "CAST(x AS INT)"),
    "floored": ("int64", "floor(x)"),
    "clipped": ("float64", "greatest(0D, least(x, 100D))"),
    "total": ("decimal(20, 2)", "price * 2"),
    "whole_price": ("int64", "CAST(price AS BIGINT)"),
    "from_text": ("int32", "CAST(t AS INT)"),
    "float_from_text": ("float64", "CAST(t AS DOUBLE)"),
    "truth": ("bool", "CAST(t AS BOOLEAN)"),
    # Conditions and nulls.
    "is_late": ("bool", "x > 15"),
    "size_class": (
        "string",
        "CASE WHEN n > 1000 THEN 'large' WHEN n > 0 THEN 'small' ELSE 'none' END",
    ),
    "or_unknown": ("string", "coalesce(s, 'unknown')"),
    "both": ("bool", "ok AND no"),
    "same_number": ("bool", "n <=> k"),
    "not_nan": ("float64", "nanvl(x, 0D)"),
    # Texts: regular expressions, collation, Unicode.
    "clean": ("string", "lower(trim(s))"),
    "shouted": ("string", "upper(s)"),
    "domain": ("string", "regexp_extract(s, '@([a-z]+)', 1)"),
    "digits": ("string", "regexp_replace(s, '[^0-9]', '')"),
    "has_digit": ("bool", "s RLIKE '[0-9]'"),
    "first_part": ("string", "split(s, ',')[0]"),
    "masked": ("string", "concat(left(s, 2), '***')"),
    "last_two": ("string", "substring(s, -2, 2)"),
    "padded": ("string", "lpad(s, 5, '0')"),
    "how_long": ("int32", "length(s)"),
    "before_b": ("bool", "s < 'b'"),
    "starts_with_a": ("bool", "s LIKE 'a%'"),
    "fingerprint": ("string", "md5(s)"),
    # Arrays.
    "how_many": ("int32", "size(items)"),
    "has_one": ("bool", "array_contains(items, 1)"),
    "first_item": ("int64", "items[0]"),
    "above_one": ("list<int64>", "filter(items, x -> x > 1)"),
    "sum_of_items": ("int64", "aggregate(items, 0L, (a, x) -> a + coalesce(x, 0L))"),
    "sorted_words": ("list<string>", "sort_array(words)"),
    "joined": ("string", "array_join(words, '-')"),
    "distinct_items": ("list<int64>", "array_distinct(items)"),
}
TYPES = {name: kind for name, (kind, _) in SPARK_SQL.items()}
#: Those that differ from Spark's own value in the last bits: how exp, log and the like round is
#: the C library's choice in noskew and Java's in Spark. Every path of noskew gives the same.
LAST_BITS = {"log_amount": "log1p(abs(x))", "growth": "exp(least(x, 10D))"}
#: What a team would write and cannot have, for both front-ends of Spark.
REFUSED: dict[str, tuple[str, str]] = {
    "name in JSON": ("get_json_object(s, '$.name')", "readers of JSON disagree.*json_extract"),
    "parsed JSON": ("from_json(s, 'a INT')", "readers of JSON disagree"),
    "title case": ("initcap(s)", "edition of Unicode"),
    "formatted number": ("format_number(x, 2)", "how floats are written differs"),
    "float as text": ("CAST(x AS STRING)", "Java writes floats"),
    "time without a format": ("CAST(t AS TIMESTAMP)", "give a format"),
    "era": ("date_format(at, 'G')", "has G; known are"),
    "hash": ("pmod(hash(s), 16)", "no such hash; use md5"),
    "price per piece": ("price / cost", "quotient of decimals"),
    "look-ahead": ("s RLIKE '(?=a)b'", r"a group that starts with \(\?="),
    "word boundary": (r"s RLIKE '\\bword\\b'", r"has \\b"),
    "back-reference": (r"s RLIKE '(a)\\1'", r"has \\1"),
    "end of text": ("regexp_replace(s, 'a$', '')", r"final line break, too; write \\z"),
    "distance": ("levenshtein(s, u)", "counts bytes"),
    "text with number": ("CASE WHEN ok THEN n ELSE s END", "cast one of them"),
    "exploded": ("explode(items)", "several rows of one"),
    "rank": ("rank() OVER (ORDER BY x)", "looks at other rows"),
    "mean": ("x - avg(x) OVER ()", "looks at other rows"),
    "total of all": ("sum(x)", "many rows"),
    "now": ("datediff(current_date(), d)", "more than the row"),
    "chance": ("rand()", "more than the row"),
    "row number": ("monotonically_increasing_id()", "more than the row"),
    "map": ("map('a', n)", "no types here"),
    "unheard of": ("soundex(s)", "edition of Unicode"),
    "unexamined": ("array_union(items, others)", "not among the functions that were compared"),
}


# ------------------------------------------------------------------------------------- PySpark


def late(delay: Column) -> Column:
    return delay > 15


def pyspark_features(df: DataFrame) -> DataFrame:
    new_york = F.from_utc_timestamp("at", "America/New_York")
    n = F.col("n")
    size = F.when(n > 1000, "large").when(n > 0, "small").otherwise("none")
    described = df.withColumn("trimmed", F.trim("s")).withColumn("is_late", late(df["x"]))
    return described.select(
        "is_late",
        F.hour("at").alias("hour_of_day"),
        F.dayofweek("at").isin(1, 7).alias("is_weekend"),
        F.dayofyear("at").alias("day_of_year"),
        F.weekofyear("at").alias("iso_week"),
        F.date_trunc("month", "at").alias("month_start"),
        F.hour(new_york).alias("hour_in_new_york"),
        F.to_date(F.from_utc_timestamp(F.col("at"), "Asia/Tokyo")).alias("day_in_tokyo"),
        F.datediff("d", "d2").alias("days_between"),
        F.add_months("d", 1).alias("next_month"),
        F.last_day(F.col("d")).alias("month_end"),
        (F.col("at") + F.expr("INTERVAL 7 DAYS")).alias("a_week_later"),
        F.unix_seconds("at").alias("seconds"),
        F.date_format("at", "yyyy-MM-dd HH:mm").alias("written_day"),
        F.to_date("t", "yyyy-MM-dd").alias("parsed_day"),
        F.col("t").cast("date").alias("loosely_parsed_day"),
        (F.col("d") >= "2020-01-01").alias("is_recent"),
        (n / F.col("k")).alias("ratio"),
        F.expr("n DIV 60").alias("whole_hours"),
        (n % 7).alias("remainder"),
        F.pmod(n, F.lit(7)).alias("bucket"),
        (1 + n).alias("one_more"),
        F.round("x", 2).alias("cents"),
        F.bround(F.col("x"), scale=1).alias("bankers"),
        F.col("x").cast("int").alias("cut_off"),
        F.floor("x").alias("floored"),
        F.greatest(F.lit(0.0), F.least("x", F.lit(100.0))).alias("clipped"),
        (F.col("price") * 2).alias("total"),
        F.col("price").cast("bigint").alias("whole_price"),
        F.col("t").cast("int").alias("from_text"),
        F.col("t").cast("double").alias("float_from_text"),
        F.col("t").cast("boolean").alias("truth"),
        size.alias("size_class"),
        F.coalesce("s", F.lit("unknown")).alias("or_unknown"),
        (F.col("ok") & F.col("no")).alias("both"),
        n.eqNullSafe(F.col("k")).alias("same_number"),
        F.nanvl("x", F.lit(0.0)).alias("not_nan"),
        F.lower("trimmed").alias("clean"),
        F.upper("s").alias("shouted"),
        F.regexp_extract("s", "@([a-z]+)", 1).alias("domain"),
        F.regexp_replace("s", "[^0-9]", "").alias("digits"),
        F.col("s").rlike("[0-9]").alias("has_digit"),
        F.split("s", ",")[0].alias("first_part"),
        F.concat(F.col("s").substr(1, 2), F.lit("***")).alias("masked"),
        F.substring("s", -2, 2).alias("last_two"),
        F.lpad("s", 5, "0").alias("padded"),
        F.length("s").alias("how_long"),
        (F.col("s") < "b").alias("before_b"),
        F.col("s").startswith("a").alias("starts_with_a"),
        F.md5("s").alias("fingerprint"),
        F.size("items").alias("how_many"),
        F.array_contains("items", 1).alias("has_one"),
        F.col("items").getItem(0).alias("first_item"),
        F.filter("items", lambda x: x > 1).alias("above_one"),
        F.aggregate(
            "items", F.lit(0).cast("bigint"), lambda a, x: a + F.coalesce(x, F.lit(0))
        ).alias("sum_of_items"),
        F.sort_array("words").alias("sorted_words"),
        F.array_join("words", "-").alias("joined"),
        F.array_distinct("items").alias("distinct_items"),
    )


# -------------------------------------------------------------------------------------- pandas

_SPACE = "".join(map(chr, range(33)))
_INT = re.compile(r"[+-]?(?:\d+(?:\.\d*)?|\.\d*)", re.ASCII)
_FLOAT = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?[dDfF]?", re.ASCII)
_DAY = re.compile(r"0{0,3}(\d{4})(?:-(\d{1,2})(?:-(\d{1,2})(?:[ T].*)?)?)?", re.ASCII | re.DOTALL)
_TRUTHS = {
    **dict.fromkeys("t true y yes 1".split(), True),
    **dict.fromkeys("f false n no 0".split(), False),
}
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def plain(column: Any) -> list[Any]:
    """Python's values; None for what is missing, as NaN is for pandas."""
    values = [v.item() if isinstance(v, np.generic) else v for v in column]
    return [None if not isinstance(v, np.ndarray) and pd.isna(v) else v for v in values]


def each(function: Callable[..., Any], *columns: Any) -> pd.Series:
    """A function of the values of each row; missing where one of them is."""
    rows = zip(*map(plain, columns), strict=True)
    found = [None if any(v is None for v in row) else function(*row) for row in rows]
    return pd.Series(found, dtype=object)


def cut_quotient(a: int, b: int) -> int:
    return abs(a) // abs(b) * (1 if (a < 0) == (b < 0) else -1)


def rounded(value: float, places: int, how: str) -> float:
    """By the decimal digits that a float is written with; from 2^53 on there is nothing to do."""
    if not abs(value) < 2**53:
        return value
    with localcontext(prec=60):
        return float(Decimal(repr(value)).quantize(Decimal(1).scaleb(-places), how)) + 0.0


def within(value: float, bits: int) -> int:
    """Cut off after the point, and at the ends of what so many bits hold."""
    low, high = -(2 ** (bits - 1)), 2 ** (bits - 1) - 1
    if math.isinf(value):
        return high if value > 0 else low
    return max(low, min(high, math.trunc(value)))


def to_int(text: str) -> int | None:
    text = text.strip(_SPACE + "\x7f")
    if not _INT.fullmatch(text):
        return None
    digits = text.split(".")[0]
    number = int(digits if digits.strip("+-") else "0")
    return number if -(2**31) <= number < 2**31 else None


def to_float(text: str) -> float | None:
    text = text.strip(_SPACE)
    if _FLOAT.fullmatch(text):
        return float(text.rstrip("dDfF"))
    return float(text) if text.lower().lstrip("+-") in ("inf", "infinity") else None


def to_day(text: str) -> date | None:
    found = _DAY.fullmatch(text.strip(_SPACE + "\x7f"))
    try:
        return date(*(int(part or 1) for part in found.groups())) if found else None
    except ValueError:
        return None


def strict_day(text: str) -> date | None:
    return to_day(text) if re.fullmatch(r"\d{4}-\d{2}-\d{2}", text, re.ASCII) else None


def month_end(day: date) -> date:
    return (day.replace(day=28) + timedelta(days=4)).replace(day=1) - timedelta(days=1)


def next_month(day: date) -> date:
    first = month_end(day) + timedelta(days=1)
    return first.replace(day=min(day.day, month_end(first).day))


def in_zone(at: datetime, zone: str) -> datetime:
    return at.astimezone(ZoneInfo(zone))


def has(items: Any, wanted: int) -> bool | None:
    values = plain(items)
    return True if wanted in values else (None if None in values else False)


def pandas_features(rows: pd.DataFrame) -> pd.DataFrame:
    at, d, n, k, x, s, t = (rows[c] for c in ("at", "d", "n", "k", "x", "s", "t"))
    price, items, words = rows["price"], rows["items"], rows["words"]
    times = pd.Series([v.to_pydatetime() for v in at], dtype=object)
    made = {
        "hour_of_day": at.dt.hour,
        "is_weekend": each(lambda v: v.weekday() >= 5, times),
        "day_of_year": each(lambda v: v.timetuple().tm_yday, times),
        "iso_week": at.dt.isocalendar().week,
        "month_start": each(
            lambda v: v.replace(day=1, hour=0, minute=0, second=0, microsecond=0), times
        ),
        "hour_in_new_york": each(lambda v: in_zone(v, "America/New_York").hour, times),
        "day_in_tokyo": each(lambda v: in_zone(v, "Asia/Tokyo").date(), times),
        "days_between": each(lambda a, b: (a - b).days, d, rows["d2"]),
        "next_month": each(next_month, d),
        "month_end": each(month_end, d),
        "a_week_later": at + pd.Timedelta(days=7),
        "seconds": each(lambda v: (v - _EPOCH) // timedelta(seconds=1), times),
        "written_day": each(lambda v: v.isoformat(" ", "minutes")[:16], times),
        "parsed_day": each(strict_day, t),
        "loosely_parsed_day": each(to_day, t),
        "is_recent": each(lambda v: v >= date(2020, 1, 1), d),
        "ratio": each(lambda a, b: float(a) / float(b) if b else None, n, k),
        "whole_hours": each(lambda v: cut_quotient(v, 60), n),
        "remainder": each(lambda v: v - 7 * cut_quotient(v, 7), n),
        "bucket": n % 7,
        "one_more": each(lambda v: (v + 1 + 2**63) % 2**64 - 2**63, n),
        "cents": each(lambda v: rounded(v, 2, ROUND_HALF_UP), x),
        "bankers": each(lambda v: rounded(v, 1, ROUND_HALF_EVEN), x),
        "cut_off": each(lambda v: within(v, 32), x),
        "floored": each(lambda v: within(math.floor(v) if math.isfinite(v) else v, 64), x),
        # The numbers first: what is equal to a bound stays, as 0.0 and -0.0.
        "clipped": [max(0.0, min(v, 100.0)) if v is not None else 100.0 for v in plain(x)],
        "total": each(lambda v: v * 2, price),
        "whole_price": each(int, price),
        "from_text": each(to_int, t),
        "float_from_text": each(to_float, t),
        "truth": each(lambda v: _TRUTHS.get(v.strip(_SPACE + "\x7f").lower()), t),
        "is_late": (x > 15).astype("boolean").where(x.notna()),
        "size_class": np.select(
            [(n > 1000).fillna(False), (n > 0).fillna(False)], ["large", "small"], "none"
        ),
        "or_unknown": s.fillna("unknown"),
        "both": rows["ok"] & rows["no"],
        "same_number": (n == k).fillna(False) | (n.isna() & k.isna()),
        "not_nan": x,
        # By Python: pandas leaves it to Arrow, which makes one letter of each (ß, İ).
        "clean": each(lambda v: v.strip(" ").lower(), s),
        "shouted": each(str.upper, s),
        "domain": s.str.extract("@([a-z]+)", expand=False).fillna("").where(s.notna()),
        "digits": s.str.replace("[^0-9]", "", regex=True),
        "has_digit": s.str.contains("[0-9]").astype("boolean").where(s.notna()),
        # Not s.str.split(",").str[0], which fails in a batch where all are missing.
        "first_part": each(lambda v: v.split(",")[0], s),
        "masked": s.str[:2] + "***",
        "last_two": s.str[-2:],
        "padded": each(lambda v: v[:5].rjust(5, "0"), s),
        "how_long": each(len, s),
        "before_b": each(lambda v: v.encode() < b"b", s),
        "starts_with_a": s.str.startswith("a").astype("boolean").where(s.notna()),
        "fingerprint": each(lambda v: hashlib.md5(v.encode()).hexdigest(), s),
        "how_many": [-1 if v is None else len(v) for v in plain(items)],
        "has_one": each(lambda v: has(v, 1), items),
        "first_item": each(lambda v: v[0] if len(v) else None, items),
        "above_one": each(lambda v: [i for i in v if i is not None and i > 1], items),
        "sum_of_items": each(lambda v: sum(int(i) for i in v if i is not None), items),
        "sorted_words": each(
            lambda v: sorted(v, key=lambda w: (w is not None, (w or "").encode())), words
        ),
        "joined": each(lambda v: "-".join(w for w in v if w is not None), words),
        "distinct_items": each(lambda v: list(dict.fromkeys(v)), items),
    }
    return pd.DataFrame({name: pd.Series(list(v), dtype=object) for name, v in made.items()})


# -------------------------------------------------------------------------------------- Polars


def polars_features(rows: pl.DataFrame) -> pl.DataFrame:
    """Those that Polars has natural words for."""
    at, d, n, k, x, s = (pl.col(c) for c in ("at", "d", "n", "k", "x", "s"))
    items, words, new_york = pl.col("items"), pl.col("words"), "America/New_York"
    return rows.select(
        "_row",
        at.dt.hour().cast(pl.Int32).alias("hour_of_day"),
        (at.dt.weekday() >= 6).alias("is_weekend"),
        at.dt.ordinal_day().cast(pl.Int32).alias("day_of_year"),
        at.dt.week().cast(pl.Int32).alias("iso_week"),
        at.dt.truncate("1mo").alias("month_start"),
        at.dt.convert_time_zone(new_york).dt.hour().cast(pl.Int32).alias("hour_in_new_york"),
        at.dt.convert_time_zone("Asia/Tokyo").dt.date().alias("day_in_tokyo"),
        (d - pl.col("d2")).dt.total_days().cast(pl.Int32).alias("days_between"),
        d.dt.offset_by("1mo").alias("next_month"),
        d.dt.month_end().alias("month_end"),
        at.dt.offset_by("7d").alias("a_week_later"),
        at.dt.epoch("us").floordiv(1_000_000).alias("seconds"),
        at.dt.strftime("%Y-%m-%d %H:%M").alias("written_day"),
        (d >= date(2020, 1, 1)).alias("is_recent"),
        pl.when(k != 0).then(n.cast(pl.Float64) / k.cast(pl.Float64)).alias("ratio"),
        (n % 7).alias("bucket"),
        (n + 1).alias("one_more"),
        (pl.col("price") * 2).alias("total"),
        (x > 15).alias("is_late"),
        pl.when(n > 1000)
        .then(pl.lit("large"))
        .when(n > 0)
        .then(pl.lit("small"))
        .otherwise(pl.lit("none"))
        .alias("size_class"),
        s.fill_null("unknown").alias("or_unknown"),
        (pl.col("ok") & pl.col("no")).alias("both"),
        n.eq_missing(k).alias("same_number"),
        x.fill_nan(0.0).alias("not_nan"),
        s.str.strip_chars(" ").str.to_lowercase().alias("clean"),
        s.str.to_uppercase().alias("shouted"),
        pl.when(s.is_not_null()).then(s.str.extract("@([a-z]+)").fill_null("")).alias("domain"),
        s.str.replace_all("[^0-9]", "").alias("digits"),
        s.str.contains("[0-9]").alias("has_digit"),
        s.str.split(",").list.first().alias("first_part"),
        (s.str.slice(0, 2) + "***").alias("masked"),
        s.str.slice(-2).alias("last_two"),
        s.str.slice(0, 5).str.pad_start(5, "0").alias("padded"),
        s.str.len_chars().cast(pl.Int32).alias("how_long"),
        (s < "b").alias("before_b"),
        s.str.starts_with("a").alias("starts_with_a"),
        items.list.len().cast(pl.Int32).fill_null(-1).alias("how_many"),
        items.list.get(0, null_on_oob=True).alias("first_item"),
        words.list.sort(nulls_last=False).alias("sorted_words"),
        words.list.drop_nulls().list.join("-").alias("joined"),
    )


IN_POLARS = (
    """
    hour_of_day is_weekend day_of_year iso_week month_start hour_in_new_york day_in_tokyo
    days_between next_month month_end a_week_later seconds written_day is_recent ratio bucket
    one_more total is_late size_class or_unknown both same_number not_nan clean shouted domain
    digits has_digit first_part masked last_two padded how_long before_b starts_with_a how_many
    first_item sorted_words joined
    """
).split()

"""Functions in the PySpark API for tests: they must be importable by name."""

from __future__ import annotations

import random

import pyspark.sql.functions as G
from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F
from pyspark.sql.functions import col, when
from pyspark.sql.types import IntegerType
from sqlframe.duckdb import functions as S
from sqlframe.duckdb.functions import substring as sub
from sqlframe.duckdb.types import ShortType

LIMIT = 15


def is_late(delay: Column) -> Column:
    return delay > LIMIT


def clean(df: DataFrame) -> DataFrame:
    from pyspark.sql.functions import upper

    kept = df.filter(F.col("n") % 3 != 1).withColumn("late", is_late(df["x"]))
    kept = kept.withColumn("kind", when(col("n") > 1, F.lit("a")).otherwise("b"))
    return kept.select(
        "user_id",
        "at",
        "late",
        "kind",
        G.hour("at").alias("hour"),
        upper("s").alias("up"),
        col("n").cast(IntegerType()).alias("i"),
        (col("n") / 2).alias("half"),
        kept.x,
    )


def counting(df: DataFrame) -> DataFrame:
    return df.withColumn("total", F.lit(df.count()))


def collecting(df: DataFrame) -> DataFrame:
    return df.withColumn("first", F.lit(df.collect()[0][0]))


def in_pandas(df: DataFrame) -> DataFrame:
    return df.toPandas()


def noisy(df: DataFrame) -> DataFrame:
    return df.withColumn("noise", F.lit(random.random()))


def chance(df: DataFrame) -> DataFrame:
    return df.withColumn("noise", F.rand())


def clock(df: DataFrame) -> DataFrame:
    return df.withColumn("now", F.current_timestamp())


def ranked(df: DataFrame) -> DataFrame:
    return df.withColumn("r", F.row_number().over(Window.partitionBy("s").orderBy("n")))


def grouped(df: DataFrame) -> DataFrame:
    return df.groupBy("user_id").agg(F.sum("n").alias("total"))


def joined(df: DataFrame) -> DataFrame:
    return df.join(df.select("user_id"), "user_id")


def exploded(df: DataFrame) -> DataFrame:
    return df.withColumn("word", F.explode(F.split("s", ",")))


def distinct(df: DataFrame) -> DataFrame:
    return df.distinct()


def limited(df: DataFrame) -> DataFrame:
    return df.limit(3)


def with_udf(df: DataFrame) -> DataFrame:
    return df.withColumn("u", F.udf(str.upper, "string")("s"))


def no_frame(df: DataFrame) -> int:
    return 3


def failing(df: DataFrame) -> DataFrame:
    raise KeyError("no such thing")


def through_sqlframe(df: DataFrame) -> DataFrame:
    import sqlframe.duckdb.functions as H
    from sqlframe.duckdb import functions as inner

    day = S.to_date("s", "yyyy-MM-dd")
    return df.select(
        day.alias("day"),
        sub(S.lit("abc"), S.lit(0), S.lit(2)).alias("two"),
        (S.col("n") * 1.5).alias("half_more"),
        inner.floor("x").alias("floor"),
        H.round("x", 1).alias("tenths"),
        S.col("n").cast(ShortType()).alias("small"),
    )

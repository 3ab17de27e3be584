"""Functions in the PySpark API that are refused."""

from __future__ import annotations

from datetime import datetime

from pyspark.sql import DataFrame
from pyspark.sql import functions as F


def filling(df: DataFrame) -> DataFrame:
    return df.fillna(0)


def filling_by_na(df: DataFrame) -> DataFrame:
    return df.na.fill(0)


def dropping(df: DataFrame) -> DataFrame:
    return df.dropna()


def replacing(df: DataFrame) -> DataFrame:
    return df.replace(1, 2)


def local_time(df: DataFrame) -> DataFrame:
    return df.withColumn("late", F.col("at") > datetime(2020, 1, 1))


def trimming(df: DataFrame) -> DataFrame:
    return df.withColumn("n", F.trim("s", F.lit("x")))


def unheard_of(df: DataFrame) -> DataFrame:
    return df.withColumn("m", F.soundex("s"))


def writing(df: DataFrame) -> DataFrame:
    df.write.parquet("somewhere")
    return df


def named_badly(df: DataFrame) -> DataFrame:
    return df.withColumn("m", F.round(column="x"))


def dictionary(df: DataFrame) -> DataFrame:
    return df.withColumn("m", F.lit({"a": 1}))

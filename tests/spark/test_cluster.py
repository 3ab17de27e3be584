"""Everything that Spark does, on a standalone cluster of two workers."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import redis

from tests.spark_cluster import spark_cluster

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.timeout(280)
def test_a_cluster_gives_what_one_process_gives(tmp_path: Path, redis_url: str) -> None:
    with redis.Redis.from_url(redis_url) as client:
        client.flushall()
    with spark_cluster() as cluster:
        done = subprocess.run(
            [sys.executable, "-m", "tests.spark.cluster_work", cluster.master, redis_url],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            check=False,
            timeout=240,
        )
    assert done.stdout.endswith("all equal\n"), done.stderr[-4000:]

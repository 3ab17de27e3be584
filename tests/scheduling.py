"""Which tests run in one worker of pytest-xdist, and what workers are given first.

Tests of a file share what its fixtures make, so they stay together: spread over the workers, each
would start its own servers. For Spark and for Kafka that holds for several files. The long units
come first, so that no worker ends long after the others.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from xdist.scheduler import LoadScopeScheduling

if TYPE_CHECKING:
    import pytest
    from xdist.remote import Producer

#: Files, or folders of them, that share a server which takes long to start.
_TOGETHER = {
    "tests/spark/": "spark",
    "tests/translation/test_corpus.py": "spark",
    "tests/translation/test_native.py": "spark",
    "tests/translation/test_pyspark_calls.py": "spark",
    "tests/translation/test_spark.py": "spark",
    "tests/stores/test_kafka_log.py": "kafka",
    "tests/streaming/test_kafka": "kafka",
    "tests/streaming/test_partial_rows.py": "kafka",
    "tests/streaming/test_replay.py": "kafka",
    "tests/serving/": "serving",
}
#: Tests that take long and share nothing.
_ALONE = ("tests/simulation/test_simulation.py", "tests/streaming/test_kills.py")
#: What takes longest, the longest first.
_FIRST = (
    "spark",
    "kafka",
    "serving",
    *_ALONE,
    "tests/cli/",
    "tests/docs/test_docs.py",
    "tests/streaming/",
    "tests/audit/",
    "tests/kernel/test_pipeline.py",
)


def unit_of(nodeid: str) -> str:
    """What a test runs together with: its file as a rule."""
    for start, together in _TOGETHER.items():
        if nodeid.startswith(start):
            return together
    return nodeid if nodeid.startswith(_ALONE) else nodeid.partition("::")[0]


def place_of(nodeid: str) -> int:
    """Where a test comes: those of long units first."""
    unit = unit_of(nodeid)
    return next((i for i, start in enumerate(_FIRST) if unit.startswith(start)), len(_FIRST))


class ByServer(LoadScopeScheduling):
    """Gives whole units to workers, in the order of the tests."""

    def __init__(self, config: pytest.Config, log: Producer) -> None:
        super().__init__(config, log)
        config.option.loadscopereorder = False  # it would be by how many tests a unit has

    def _split_scope(self, nodeid: str) -> str:
        return unit_of(nodeid)

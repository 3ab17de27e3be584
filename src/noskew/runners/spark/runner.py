"""SparkRunner: a task on each part of some rows."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from noskew.config import Config
from noskew.errors import RunnerError
from noskew.runners.base import Piece, Runner, Task
from noskew.runners.spark import border
from noskew.runners.spark.faults import spark_faults
from noskew.runners.spark.session import active_session, make_session, no_pandas_advice
from noskew.runners.spark.tasks import NUMBER, PACKS, packed, shipped, unpacked

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession
    from pyspark.sql.types import StructType

#: Partitions for each task that runs at a time: enough to even out what differs in size. Each
#: costs some tens of milliseconds to start.
_PER_TASK = 4


def open_runner(config: Config) -> SparkRunner:
    """The runner on the session that is active, else on one that the configuration describes."""
    return SparkRunner.open(config.spark.master, config.spark.conf)


class SparkRunner(Runner):
    """Hands pieces of rows to tasks on a session of Spark.

    Beside what every runner does it hands the rows of Spark's own frames to tasks.

    ``owned``: the session was made for this runner, and ends with it.
    """

    def __init__(self, session: SparkSession, *, owned: bool = False) -> None:
        self.session = session
        self._owned = owned
        self._shared: set[Path] = set()

    @classmethod
    def open(cls, master: str, settings: Mapping[str, str]) -> SparkRunner:
        """On the session that is active in this process, else on one of its own.

        ``master`` and ``settings`` are for a session of its own only. Raises MissingExtraError
        without pyspark, RunnerError if Spark cannot be started.
        """
        session = active_session()
        if session is not None:
            return cls(session)
        return cls(make_session(master, settings), owned=True)

    @property
    def parts(self) -> int:
        return _PER_TASK * int(self.session.sparkContext.defaultParallelism)

    @property
    def is_local(self) -> bool:
        return str(self.session.sparkContext.master).startswith("local")

    @property
    def is_stopped(self) -> bool:
        return self.session.sparkContext._jsc is None

    @property
    def version(self) -> str:
        """The version of Spark."""
        return str(self.session.version)

    def share(self, archive: Path) -> None:
        if archive not in self._shared:
            self.session.sparkContext.addPyFile(str(archive))
            self._shared.add(archive)

    # ---------------------------------------------------------------- tables of this process

    def run(
        self, tables: Iterable[pa.Table], task: Task, context: Mapping[str, Any]
    ) -> Iterator[Piece]:
        numbered = (Piece(number, table) for number, table in enumerate(tables))
        # A batch for each, since Spark makes a partition of each batch.
        packs = pa.Table.from_batches(packed(numbered), PACKS)
        if len(packs) == 0:
            return
        yield from self.gather(self.map(self.frame(packs), task, context, takes_packs=True))

    def gather(self, packs: DataFrame) -> Iterator[Piece]:
        """Packs as pieces of this process, in no order."""
        yield from unpacked(self.collect(packs).to_batches())

    # ---------------------------------------------------------------- frames

    def frame(self, table: pa.Table) -> DataFrame:
        """The rows of a table of this process."""
        with spark_faults("taking rows"):
            return self.session.createDataFrame(border.enter(table), border.struct_of(table.schema))

    def map(
        self,
        frame: DataFrame,
        task: Task,
        context: Mapping[str, Any],
        *,
        columns: StructType | None = None,
        takes_packs: bool = False,
    ) -> DataFrame:
        """What a task makes of each partition; nothing runs before somebody asks for it.

        ``columns``: those of the rows that come out; None for packs.
        """
        struct = border.struct_of(PACKS) if columns is None else columns
        work = shipped(task, context, takes=takes_packs, gives=columns is None)
        with spark_faults("planning"), no_pandas_advice():
            try:
                return frame.mapInArrow(work, struct)
            except ImportError as error:
                raise RunnerError(
                    f"pyspark does not find what it needs: {error}; run: pip install "
                    f"'noskew[spark]'"
                ) from error

    def select(self, frame: DataFrame, names: Sequence[str]) -> DataFrame:
        """Some columns of a frame. Spark alone would take ``A`` for ``a``."""
        places = [f.name for f in frame.schema.fields]
        numbered = frame.toDF(*[f"c{i}" for i in range(len(places))])
        return numbered.select(*[f"c{places.index(n)}" for n in names]).toDF(*names)

    def meet(self, packs: DataFrame, parts: int) -> DataFrame:
        """The same packs, those of a number in one of ``parts`` partitions; 0 ≤ number."""
        return packs.repartitionById(parts, NUMBER)

    def collect(self, frame: DataFrame) -> pa.Table:
        """All rows, in this process, in no order."""
        with spark_faults("computing rows"):
            return frame.toArrow()

    def schema(self, frame: DataFrame) -> pa.Schema:
        """The columns of a frame as Arrow has them."""
        return self.collect(frame.limit(0)).schema

    def close(self) -> None:
        """Stop the session if it is this runner's own."""
        if self._owned:
            self._owned = False
            self.session.stop()

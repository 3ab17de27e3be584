"""What each figure has to reach. A benchmark is never made easier to pass one."""

from __future__ import annotations

from collections.abc import Mapping

from bench.result import Target


def _ratio(most: float) -> Target:
    return Target("ratio", most=most)


def _most(value: float) -> Target:
    return Target("value", most=value)


def _peer(least: float, peer: str) -> Target:
    return Target("peer", least=least, peer=peer)


_GROWTH = (_most(11.0),)
#: "Flat" memory, with room for what differs from run to run.
_FLAT = (_most(1.2),)

TARGETS: Mapping[str, tuple[Target, ...]] = {
    "online.lmdb.1x50": (_most(25e-6),),
    "online.lmdb.1000x50": (_ratio(2.5),),
    "online.lmdb.1000x50.dict": (_ratio(2.5),),
    "online.redis.1x50": (_ratio(2.0),),
    "online.redis.1000x50": (_ratio(1.6),),
    "online.redis.1000x50.dict": (_ratio(1.6), _peer(60, "feast"), _peer(25, "feast precomputed")),
    "on_demand.sql.1x10": (_most(100e-6),),
    "on_demand.sql.1000x10": (_most(1e-3),),
    "on_demand.numpy.1x10": (_most(100e-6),),
    "on_demand.numpy.1000x10": (_most(1e-3),),
    "on_demand.per_row.1x10": (_most(100e-6),),
    "http.1x50": (_ratio(2.0), Target("value", least=8_000), _peer(25, "feast")),
    "http.100x50": (_ratio(2.0), Target("value", least=1_500), _peer(100, "feast")),
    "http.1x50.p99": (_most(10e-3),),
    "http.100x50.p99": (_most(10e-3),),
    "audit.1x50": (_ratio(1.03),),
    "audit.100x50": (_ratio(1.03),),
    "transform.sql": (_ratio(1.2),),
    "certify.10": (_most(20.0),),
    "historical.latest.1m": (_ratio(1.5), _peer(10, "feast")),
    "historical.latest.1m.memory": (_ratio(0.5),),
    "historical.latest.10k": (_ratio(1.5),),
    "historical.windows.1m": (_ratio(0.5),),
    "spark.latest.1m": (_ratio(5.0),),
    "spark.windows.1m": (_ratio(5.0),),
    "spark.cores": (Target("value", least=1.3),),
    "materialize.lmdb.1m": (_ratio(2.0),),
    "materialize.redis.1m": (_ratio(3.0), _peer(8, "feast")),
    "ingest.again": (_ratio(0.5),),
    "ingest.grown": (_ratio(0.6),),
    "ingest.ledger": (_most(10),),
    "ingest.replace": (_ratio(0.1),),
    "historical.retracted": (_ratio(1.1),),
    "stream.local.lmdb": (Target("value", least=300_000),),
    "stream.kafka.redis": (Target("value", least=150_000),),
    "stream.freshness.p99": (_most(0.5),),
    "stream.freshness.reads.p99": (_most(10e-3),),
    "stream.recovery": (_most(10.0),),
    "stream.soak.memory": _FLAT,
    "bytes_per_feature.10": (_most(22),),
    "bytes_per_feature.50": (_most(11),),
    "import": (_most(0.5),),
    "import.store": (_most(0.5),),
    "import.help": (_most(0.7),),
    "cli.list": (_most(0.4),),
    "cli.show": (_most(0.4),),
    "cli.get": (_most(0.4),),
    "size.cli.list": (_most(1.0),),
    "size.cli.show": (_most(1.0),),
    "size.cli.get": (_most(1.0),),
    "size.plan.one": (_most(2.0),),
    "size.apply.one": (_most(2.0),),
    "size.apply.all": (_most(5.0),),
    "size.ingest.view": (_most(20e-3),),
    "size.materialize.view": (_most(20e-3),),
    "size.serve.ready": (_most(5.0),),
    "size.serve.memory": (_most(300 * 2**20),),
    "size.serve.takeover": (_most(0.3),),
    "size.serve.takeover.p99": (_most(1.2),),
    "growth.online.lmdb.rows": _GROWTH,
    "growth.online.redis.rows": _GROWTH,
    "growth.http.rows": _GROWTH,
    "growth.latest.rows": _GROWTH,
    "growth.latest.events": _GROWTH,
    "growth.windows.rows": _GROWTH,
    "growth.windows.events": _GROWTH,
    "growth.materialize.lmdb.rows": _GROWTH,
    "growth.materialize.redis.rows": _GROWTH,
    "growth.latest.rows.memory": _FLAT,
    "growth.latest.events.memory": _FLAT,
    "growth.windows.rows.memory": _FLAT,
    "growth.windows.events.memory": _FLAT,
    "growth.materialize.lmdb.rows.memory": _FLAT,
    "growth.materialize.redis.rows.memory": _FLAT,
    "historical.latest.100m.memory": (_most(4 * 2**30),),
}

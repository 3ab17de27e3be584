"""What the last audits found, as metrics of every server of the project.

An audit writes what it counted to the registry, one :class:`.SkewAudit` for each service. Servers
read them now and then, and tell them when they are scraped.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from time import monotonic

from noskew.answer_log.audit_records import COUNTS
from noskew.clock import MICROS_PER_SECOND
from noskew.errors import missing_extra
from noskew.registry.base import Registry
from noskew.registry.records.kinds import SKEW_AUDIT
from noskew.registry.records.record import Record
from noskew.registry.records.serving import SkewAudit

try:
    from prometheus_client.core import GaugeMetricFamily, Metric
    from prometheus_client.registry import Collector
except ImportError as error:
    raise missing_extra("prometheus-client", "serve", "noskew serve") from error

#: How often the registry is asked, in seconds; an audit runs seldom.
EVERY_S = 10.0


class SkewMetrics(Collector):
    """The results of the last audit of each service."""

    def __init__(self) -> None:
        self._records: Sequence[Record[str, SkewAudit]] = ()
        self._read = float("-inf")

    def refresh(self, registry: Registry, project: str) -> None:
        """Read the results again, if they were not read lately. Raises what the registry does."""
        if monotonic() - self._read >= EVERY_S:
            self._records = registry.records(project, SKEW_AUDIT)
            self._read = monotonic()

    def collect(self) -> Iterator[Metric]:
        """The metrics as they were read last."""
        records = self._records
        for name, about in COUNTS.items():
            family = GaugeMetricFamily(
                f"noskew_skew_{name}", f"{about} In the last audit.", labels=("service", "feature")
            )
            for record in records:
                for feature, counts in record.value.features.items():
                    family.add_metric([record.key, feature], getattr(counts, name))
            yield family
        yield _times(records, "time", "When the last audit was made.", "at")
        yield _times(records, "until", "Up to when it looked at what was served.", "until")


def _times(
    records: Sequence[Record[str, SkewAudit]], name: str, about: str, key: str
) -> GaugeMetricFamily:
    family = GaugeMetricFamily(f"noskew_skew_audit_{name}_seconds", about, labels=("service",))
    for record in records:
        family.add_metric([record.key], getattr(record.value, key) / MICROS_PER_SECOND)
    return family

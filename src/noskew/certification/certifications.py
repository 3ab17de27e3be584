"""The certificates of a project: made, kept, and asked for before anything is applied."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from noskew.certification.samples import SAMPLE_ROWS
from noskew.clock import Clock
from noskew.definitions.on_demand import OnDemand
from noskew.definitions.project import Project
from noskew.definitions.view import FeatureView
from noskew.errors import CertificateError, unknown
from noskew.registry.base import Registry
from noskew.registry.records.certificate import Certificate
from noskew.registry.records.kinds import CERTIFICATE, UNCERTIFIED
from noskew.registry.records.record import Record
from noskew.registry.records.views import Exemption
from noskew.registry.versions import Applied
from noskew.training.spark.runners import Runners

#: Rows of a source that a view is run on when it is applied without having been verified.
_QUICK_ROWS = 500
#: Told the name of a definition, and of the path that it takes.
PathProgress = Callable[[str, str], None]
Certified = FeatureView | OnDemand


@dataclass(frozen=True, slots=True)
class Certifications:
    """Certificates, by definition hash: they hold for a definition whatever it is called."""

    registry: Registry
    clock: Clock
    runners: Runners

    @property
    def project(self) -> str:
        """The name of the project."""
        return self.runners.config.project

    def verify(
        self,
        definitions: Project,
        names: str | Iterable[str] | None,
        *,
        sample: int = SAMPLE_ROWS,
        progress: PathProgress | None = None,
    ) -> list[Certificate]:
        """Certify views and on-demand functions (default: all), anew, and keep what was found.

        Spark's tasks are a path, too, if Spark is the project's runner. Raises NotFoundError for a
        name that is not there, and CertificateError if an engine that has to be compared with
        cannot be reached.
        """
        chosen = _chosen(definitions, names)
        return [self._made(i, sample=sample, thorough=True, progress=progress) for i in chosen]

    def of(self, item: Certified) -> Certificate | None:
        """The certificate of a definition; None if there is none."""
        record = self.registry.record(self.project, CERTIFICATE, item.definition_hash)
        return record.value if record else None

    def all(self) -> dict[str, Certificate]:
        """Every certificate by definition hash."""
        return {r.key: r.value for r in self.registry.records(self.project, CERTIFICATE)}

    def exempt(self) -> dict[str, str]:
        """Who applied a definition without a certificate, by its hash."""
        return {r.key: r.value.by for r in self.registry.records(self.project, UNCERTIFIED)}

    def admit(
        self,
        wanted: Project,
        current: Applied,
        uncertified_by: str | None = None,
        progress: PathProgress | None = None,
    ) -> None:
        """Return if what would be new or changed may be applied.

        Each such view and on-demand function needs a good certificate; one that has none is
        certified now, in a short form. ``uncertified_by``: somebody who does without; who that is
        gets recorded for what has no good one.

        Raises CertificateError with what was found if values differ between paths.
        """
        new = list(self._new(wanted, current))
        certificates = self.all() if new else {}
        lacking, exempt = [], []
        for item in new:
            certificate = certificates.get(item.definition_hash)
            if certificate is None and uncertified_by is None:
                certificate = self._made(
                    item, sample=_QUICK_ROWS, thorough=False, progress=progress
                )
            if certificate is not None and certificate.is_equal:
                continue
            if uncertified_by is not None:
                exemption = Exemption(item.name, uncertified_by)
                exempt.append(
                    Record(UNCERTIFIED, item.definition_hash, exemption, self.clock.now())
                )
            elif certificate is not None:
                lacking.append(certificate)
        if lacking:
            raise CertificateError(_refusal(lacking))
        if exempt:
            self.registry.put_records(self.project, exempt)

    def _new(self, wanted: Project, current: Applied) -> Iterator[Certified]:
        applied = {h for hashes in current.hashes.values() for h in hashes.values()}
        items: list[Certified] = [*wanted.views.values(), *wanted.on_demand.values()]
        for item in items:
            if item.definition_hash not in applied:
                yield item

    def _made(
        self, item: Certified, *, sample: int, thorough: bool, progress: PathProgress | None
    ) -> Certificate:
        # Most processes certify nothing, and it knows every room.
        from noskew.certification.certify import certify_function, certify_view

        def watch(path: str) -> None:
            if progress:
                progress(item.name, path)

        if isinstance(item, FeatureView):
            certificate = certify_view(
                item,
                self.runners.root,
                self.clock,
                sample=sample,
                thorough=thorough,
                watch=watch,
                runners=self.runners,
            )
        else:
            certificate = certify_function(item, self.clock, thorough=thorough, watch=watch)
        record = Record(CERTIFICATE, certificate.definition_hash, certificate, certificate.made_at)
        self.registry.put_record(self.project, record)
        return certificate


def _chosen(definitions: Project, names: str | Iterable[str] | None) -> list[Certified]:
    items: dict[str, Certified] = {**definitions.views, **definitions.on_demand}
    if names is None:
        return list(items.values())
    wanted = [names] if isinstance(names, str) else list(names)
    for name in wanted:
        if name not in items:
            raise unknown("feature view or on-demand function", name, items)
    return [items[name] for name in wanted]


def _refusal(lacking: Sequence[Certificate]) -> str:
    parts = []
    for c in lacking:
        first = c.differences[0]
        where = f" in {first.column!r}" if first.column else ""
        shown = "; ".join(f"{side}: {value}" for side, value in first.example.items())
        parts.append(
            f"{c.name}: {c.cause}. First difference{where}, on the path {first.path!r} ({shown})"
        )
    names = " ".join(c.name for c in lacking)
    return (
        f"nothing was applied: {len(lacking)} definitions give different values on different "
        f"paths.\n" + "\n".join(parts) + f"\nSee all of it: noskew verify {names}. To apply "
        f"nevertheless, and have that recorded: --uncertified"
    )

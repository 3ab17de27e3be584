"""ProjectDefinitions: what a project's files define, and what of it is applied."""

from __future__ import annotations

import getpass
from collections.abc import Iterable
from contextlib import suppress
from typing import TYPE_CHECKING

from noskew._lazy import lazy_module
from noskew.certification.samples import SAMPLE_ROWS
from noskew.definitions.loading import load_project, make_importable
from noskew.definitions.project import Definitions, Project
from noskew.definitions.service import FeatureService
from noskew.errors import NoskewError
from noskew.intake.source_sizes import SourceSizes
from noskew.project_parts import ProjectParts
from noskew.registry.versions import Applied, remember_checked

if TYPE_CHECKING:
    from noskew.certification.certifications import Certifications, PathProgress
    from noskew.registry import plan
    from noskew.registry.plan import Plan
    from noskew.registry.records.certificate import Certificate
else:
    plan = lazy_module("noskew.registry.plan")


class ProjectDefinitions(ProjectParts):
    """A project that can be planned, certified and applied."""

    def load(self) -> Project:
        """The definitions in the project's files, whether applied or not."""
        try:
            applied = self.applied
        except NoskewError:  # without a registry every SELECT is checked
            applied = Applied(0, Project())
        return self._load(applied)

    def _load(self, applied: Applied) -> Project:
        """The definitions in the files; what is applied needs no second check of its SELECTs."""
        with suppress(NoskewError):  # what can no longer be loaded is checked
            remember_checked(applied)
        return load_project(self.root, self.config.features)

    @property
    def applied(self) -> Applied:
        """The definitions that are applied; what reads by name use."""
        make_importable(self.root, self.config.features)
        return self.registry.current(self.config.project)

    def plan(self, desired: Definitions | None = None) -> Plan:
        """What applying ``desired`` (default: the project's files) would change."""
        current = self.applied
        wanted = self._load(current) if desired is None else Project.of(desired)
        sizes = SourceSizes(lambda: self.offline, current.project)
        return plan.plan(current, wanted, sizes=sizes)

    @property
    def certifications(self) -> Certifications:
        """The certificates of views and on-demand functions."""
        return self._certifications

    def verify(
        self,
        names: str | Iterable[str] | None = None,
        *,
        definitions: Definitions | None = None,
        sample: int = SAMPLE_ROWS,
        progress: PathProgress | None = None,
    ) -> list[Certificate]:
        """Run views and on-demand functions (default: all of the files) through every path.

        Each is run on ``sample`` rows of its source and on rows made up, and every path must give
        the same bits. The certificates are kept; ``is_equal`` says whether one is good.
        """
        chosen = self.load() if definitions is None else Project.of(definitions)
        return self._certifications.verify(chosen, names, sample=sample, progress=progress)

    def apply(
        self,
        desired: Definitions | None = None,
        *,
        base_version: int | None = None,
        message: str = "",
        uncertified: bool = False,
        progress: PathProgress | None = None,
    ) -> Applied:
        """Make ``desired`` (default: the project's files) the definitions that are served.

        New and changed views need a certificate; those that :meth:`verify` did not give one are
        certified now. ``uncertified``: do without, which is recorded. ``base_version``: that of
        the plan that was agreed to. Raises CertificateError if values differ between paths, and
        ConflictError if somebody else applied since then.
        """
        current = self.applied
        wanted = self._load(current) if desired is None else Project.of(desired)
        project, by = self.config.project, getpass.getuser()
        self._certifications.admit(wanted, current, by if uncertified else None, progress)
        applied = self.registry.apply(
            project,
            wanted,
            base_version=self.registry.head(project) if base_version is None else base_version,
            applied_at=self.clock.now(),
            applied_by=by,
            message=message,
        )
        self._readers.clear()
        return applied

    def _service(self, service: str | FeatureService) -> FeatureService:
        return self.applied.project.service(service) if isinstance(service, str) else service

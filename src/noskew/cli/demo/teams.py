"""Which team wrote which view, in what, and what was found when it was certified."""

from __future__ import annotations

from rich.table import Table
from rich.text import Text

from noskew.cli.render.certified import certified
from noskew.cli.render.styled_table import new_table
from noskew.definitions.view import FeatureView
from noskew.feature_store import FeatureStore
from noskew.registry.records.certificate import Certificate


def teams_table(store: FeatureStore) -> Table:
    """A line for each view that is applied, by team."""
    numbers = ("rows", "paths", "seconds")
    table = new_table("", "team", "view", "written as", *numbers, "certificate", numbers=numbers)
    certificates = store.certifications.all()
    views = store.applied.project.views.values()
    for view in sorted(views, key=lambda v: (v.owner, v.name)):
        table.add_row(
            view.owner, view.name, _written(view), *_outcome(certificates[view.definition_hash])
        )
    return table


def _written(view: FeatureView) -> str:
    return "columns as they are" if view.transform is None else view.transform.title


def _outcome(certificate: Certificate) -> tuple[str, str, str, Text]:
    rows = certificate.sample_rows + certificate.made_up_rows
    paths = sum(not p.skipped for p in certificate.paths)
    return f"{rows:,}", str(paths), f"{certificate.seconds:.1f}", certified(certificate, None)

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
    made = new_table("", "team", "view", "written as", *numbers, "certificate", numbers=numbers)
    held = store.certifications.all()
    views = store.applied.project.views.values()
    for view in sorted(views, key=lambda v: (v.owner, v.name)):
        made.add_row(view.owner, view.name, _written(view), *_found(held[view.definition_hash]))
    return made


def _written(view: FeatureView) -> str:
    return "columns as they are" if view.transform is None else view.transform.title


def _found(held: Certificate) -> tuple[str, str, str, Text]:
    rows = held.sample_rows + held.made_up_rows
    paths = sum(not p.skipped for p in held.paths)
    return f"{rows:,}", str(paths), f"{held.seconds:.1f}", certified(held, None)

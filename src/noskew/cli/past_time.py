"""--at: answers as of another time, as far as the online store can give them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated

import typer

from noskew.clock import to_text
from noskew.definitions.service import FeatureService
from noskew.errors import InputError
from noskew.feature_store import FeatureStore

At = Annotated[
    str | None,
    typer.Option("--at", metavar="TIME", help="Answer as of this time instead of now."),
]


def check_at(store: FeatureStore, services: Iterable[FeatureService], at: str | None) -> None:
    """Refuse a time whose state the online store no longer has.

    A row is the state of the facts known by the last materialization; what had already left its
    windows by then is not in it.
    """
    if at is None:
        return
    for view in {v.name: v for s in services for v in s.views if v.online}.values():
        until = store.materialized_until(view)
        if until is not None and until > store.clock.now():
            raise InputError(
                f"{view.name} is online with facts known by {to_text(until)}, later than "
                f"--at {at}: the online store keeps the newest state only. Ask as of a later "
                f"time, or read the past from the offline store with noskew historical"
            )

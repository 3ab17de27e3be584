"""Whether the online store holds the views that are to be read."""

from __future__ import annotations

from collections.abc import Iterable

from noskew.addresses import Tenant
from noskew.definitions.view import FeatureView
from noskew.errors import NotMaterializedError
from noskew.stores.online.base import OnlineStore


def check_online(tenant: Tenant, views: Iterable[FeatureView], online: OnlineStore) -> None:
    """Return if the online store holds every view; one round trip, for before the first read.

    A store that was never filled would answer that every entity is unknown, which nobody can
    tell from the truth. Raises NotMaterializedError, naming the views and what fills them.
    """
    chosen = list(views)
    beats = online.read([tenant.rows(v).heartbeat for v in chosen])
    absent = [v for v, beat in zip(chosen, beats, strict=True) if beat is None]
    if not absent:
        return
    if off := [v.name for v in absent if not v.online]:
        raise NotMaterializedError(
            f"{', '.join(off)} cannot be read online: defined with online=False. Define it "
            f"with online=True, apply and materialize; or read it with get_historical_features"
        )
    names = [v.name for v in absent]
    raise NotMaterializedError(
        f"the online store does not hold {', '.join(names)} as defined now, so every answer "
        f"would be empty; run 'noskew materialize {' '.join(names)}', or in Python "
        f"store.materialize({names!r})"
    )

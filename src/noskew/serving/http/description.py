"""Services as data: what a caller must give, and what each feature of the answer means."""

from __future__ import annotations

from typing import Any

from noskew.clock import duration_text
from noskew.definitions.service import FeatureService, ServiceColumn
from noskew.definitions.view import FeatureView


def summary(service: FeatureService) -> dict[str, Any]:
    """A line of the list of services."""
    return {
        "name": service.name,
        "description": service.description,
        "owner": service.owner,
        "tags": dict(service.tags),
        "join_keys": list(service.join_keys),
        "request_fields": list(service.request),
        "features": len(service.columns),
        "definition_hash": service.definition_hash,
    }


def description(service: FeatureService) -> dict[str, Any]:
    """Everything that a caller needs to know about a service."""
    return {
        **summary(service),
        "join_keys": service.join_keys.texts(),
        "request_fields": service.request.texts(),
        "features": [_feature(c) for c in service.columns],
        "views": [_view(v) for v in service.views],
        "on_demand": [
            {"name": f.name, "description": f.description, "definition_hash": f.definition_hash}
            for f in service.on_demand
        ],
    }


def _feature(column: ServiceColumn) -> dict[str, Any]:
    typed = {"name": column.name, "type": str(column.dtype)}
    origin = column.origin.name
    if column.is_stored:
        feature = column.origin.features[column.feature]
        return {**typed, "view": origin, "description": feature.describe()}
    return {**typed, "on_demand": origin, "description": f"computed by {origin}"}


def _view(view: FeatureView) -> dict[str, Any]:
    return {
        "name": view.name,
        "description": view.description,
        "entity": view.entity.name,
        "join_keys": view.entity.keys.texts(),
        "source": view.source.name,
        "max_age": None if view.max_age is None else duration_text(view.max_age),
        "freshness": None if view.freshness is None else duration_text(view.freshness),
        "definition_hash": view.definition_hash,
    }

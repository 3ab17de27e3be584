"""Records that several rooms keep of a view, or read: their kinds, and the key of each."""

from __future__ import annotations

from noskew.definitions.view import FeatureView

#: How far a view was materialized.
MATERIALIZED = "materialized"
#: What the rows of a streamed view stand on.
STREAMED = "stream"


def record_key(view: FeatureView) -> str:
    """Under which a record of a view is kept: rows of different definitions never mix."""
    return f"{view.name}:{view.definition_hash}"

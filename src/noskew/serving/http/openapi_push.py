"""The routes that append events, in OpenAPI."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from noskew.config import ServeConfig
from noskew.definitions.source import Source
from noskew.serving.http.push import MOST_WAIT_S, WAIT_S
from noskew.serving.http.schemas import (
    PROBLEMS,
    JsonSchema,
    enum_of,
    json_answer,
    object_of,
    problems,
    value_schema,
)
from noskew.types import DType
from noskew.wire.media_types import ARROW, JSON

_PROBLEMS = {
    **PROBLEMS,
    "403": "A browser sent it for a page from elsewhere.",
    "404": "No such source; the answer lists those that can be pushed to.",
    "422": "A column is absent or of the wrong type, the source has no log here, or an option is "
    "not taken.",
    "503": "The log is full or cannot be used, or this server is not ready.",
}
_PARAMETERS = [
    {
        "name": "wait",
        "in": "query",
        "description": "online: answer when reads see the events",
        "schema": enum_of(["online"]),
    },
    {
        "name": "wait_s",
        "in": "query",
        "description": "how many seconds to wait at most",
        "schema": {"type": "number", "minimum": 0, "maximum": MOST_WAIT_S, "default": WAIT_S},
    },
]
_SAMPLES: Mapping[str, Any] = {
    "bool": True,
    "float32": 0.5,
    "float64": 0.5,
    "string": "text",
    "bytes": "AA==",
    "timestamp": "2024-01-01T00:00:00Z",
    "date": "2024-01-01",
    "decimal": "12.50",
}


def push_paths(sources: Mapping[str, Source], limits: ServeConfig) -> JsonSchema:
    """The paths that append to ``sources``; none where there is no source to push to."""
    if not sources:
        return {}
    paths = {f"/push/{name}": _native(s, limits) for name, s in sources.items()}
    return {**paths, "/push": _feast(sources)}


def _native(source: Source, limits: ServeConfig) -> JsonSchema:
    values = {name: value_schema(kind) for name, kind in source.schema.items()}
    columns = {
        name: {"type": "array", "items": value, "maxItems": limits.max_rows}
        for name, value in values.items()
    }
    rows: JsonSchema = {
        "description": "Columns of one length, or a list of rows; other columns are left out.",
        "oneOf": [
            {**object_of(columns), "additionalProperties": True},
            {
                "type": "array",
                "items": {"type": "object", "properties": values},
                "maxItems": limits.max_rows,
            },
        ],
    }
    sample = {name: _sample(kind) for name, kind in source.schema.items()}
    return _path(
        f"push_{source.name}",
        f"Append events to the source {source.name}. {source.description}".strip(),
        {
            JSON: {"schema": object_of({"rows": rows}), "example": {"rows": [sample]}},
            ARROW: {"schema": {"type": "string", "format": "binary"}},
        },
        {
            "200": json_answer("The events are durable, and reads see them.", _answer()),
            "202": json_answer(
                "The events are durable. Reads may not see them yet; do not push them again.",
                _answer(),
            ),
        },
    )


def _feast(sources: Mapping[str, Source]) -> JsonSchema:
    body = {
        "type": "object",
        "required": ["push_source_name", "df"],
        "additionalProperties": False,
        "properties": {
            "push_source_name": enum_of(sources),
            "df": {"type": "object", "additionalProperties": {"type": "array"}},
            "to": {**enum_of(["online", "online_and_offline"]), "default": "online"},
            "allow_registry_cache": {"const": True},
            "transform_on_write": {"const": True},
        },
    }
    name, source = next(iter(sources.items()))
    columns = {n: [_sample(kind)] for n, kind in source.schema.items()}
    return _path(
        "push",
        "The same, with the request of Feast's feature server",
        {JSON: {"schema": body, "example": {"push_source_name": name, "df": columns}}},
        {"200": json_answer("The events are durable.", _answer())},
    )


def _path(name: str, summary: str, content: JsonSchema, answers: JsonSchema) -> JsonSchema:
    codes = [code for code in _PROBLEMS if code != "406"]
    return {
        "post": {
            "operationId": name,
            "tags": ["push"],
            "summary": summary,
            "parameters": _PARAMETERS,
            "requestBody": {"required": True, "content": content},
            "responses": {**answers, **problems(*sorted(codes), meanings=_PROBLEMS)},
        }
    }


def _answer() -> JsonSchema:
    number = {"type": "integer", "minimum": 0, "maximum": (1 << 63) - 1}
    answer = object_of(
        {"appended": number, "offsets": {"type": "object", "additionalProperties": number}}
    )
    answer["properties"]["readable"] = {"type": "boolean"}
    answer["properties"]["behind"] = {"type": "array", "items": {"type": "string"}}
    return answer


def _sample(kind: DType) -> Any:
    if kind.item is not None:
        return [_sample(kind.item)] * (kind.size or 1)
    return _SAMPLES.get(kind.kind, 1)

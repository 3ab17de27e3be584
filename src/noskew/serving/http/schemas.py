"""Parts that every OpenAPI document of the server is made of."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from noskew.types import DType
from noskew.wire.media_types import JSON

JsonSchema = dict[str, Any]

PROBLEMS = {
    "400": "The body is not what its media type says.",
    "404": "No such service; the answer lists those that are.",
    "406": "Neither JSON nor Arrow would be accepted.",
    "408": "The body did not arrive in time.",
    "413": "The body has too many bytes, or too many rows.",
    "415": "The body is of another media type, or compressed.",
    "422": "A join key or request field is absent, unknown or of the wrong type.",
    "503": "The online store, or this server, is not available; try again later.",
}
_STRINGS: Mapping[str, JsonSchema] = {
    "string": {"type": "string"},
    "bytes": {"type": "string", "contentEncoding": "base64"},
    "timestamp": {"type": "string", "format": "date-time"},
    "date": {"type": "string", "format": "date"},
    "decimal": {"type": "string", "pattern": r"^-?\d+(\.\d+)?$"},
}


def value_schema(kind: DType) -> JsonSchema:
    """The JSON form of a value of a type, null included."""
    if kind.item is not None:
        items = value_schema(kind.item)
        bounds = {"minItems": kind.size, "maxItems": kind.size} if kind.kind == "vector" else {}
        return {"type": ["array", "null"], "items": items, **bounds}
    if kind.is_float:
        return {"anyOf": [{"type": ["number", "null"]}, enum_of(["NaN", "Infinity", "-Infinity"])]}
    if kind.is_integer:
        half = 1 << (int(kind.kind[3:]) - 1)
        return {"type": ["integer", "null"], "minimum": -half, "maximum": half - 1}
    if kind.kind == "bool":
        return {"type": ["boolean", "null"]}
    return {**_STRINGS[kind.kind], "type": ["string", "null"]}


def problems(*codes: str, meanings: Mapping[str, str] = PROBLEMS) -> JsonSchema:
    """The answers that are problems, by status; ``meanings``: what each status means."""
    ref = {"$ref": "#/components/schemas/Problem"}
    return {code: json_answer(meanings[code], ref) for code in codes}


def json_answer(what: str, schema: JsonSchema) -> JsonSchema:
    """An answer in JSON."""
    return {"description": what, "content": {JSON: {"schema": schema}}}


def text_answer(what: str, kind: str = "text/plain") -> JsonSchema:
    """An answer in text."""
    return {"description": what, "content": {kind: {"schema": {"type": "string"}}}}


def object_of(properties: JsonSchema) -> JsonSchema:
    """An object that has all of these and nothing else."""
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def enum_of(names: Iterable[str]) -> JsonSchema:
    """One of some strings."""
    return {"type": "string", "enum": list(names)}

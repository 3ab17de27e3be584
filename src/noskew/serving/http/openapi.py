"""OpenAPI 3.1: what the server takes and gives, with the schemas of every applied service."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import version
from typing import Any

from noskew.config import ServeConfig
from noskew.definitions.service import FeatureService
from noskew.serving import status
from noskew.serving.http.arrow_answer import MEDIA_TYPE
from noskew.serving.http.description import description
from noskew.serving.http.problem import JSON
from noskew.types import DType

Schema = dict[str, Any]

_PROBLEMS = {
    "400": "The body is not what its media type says.",
    "404": "No such service; the answer lists those that are.",
    "406": "Neither JSON nor Arrow would be accepted.",
    "408": "The body did not arrive in time.",
    "413": "The body has too many bytes, or too many rows.",
    "415": "The body is of another media type, or compressed.",
    "422": "A join key or request field is absent, unknown or of the wrong type.",
    "503": "The online store, or this server, is not available; try again later.",
}
_STRINGS: Mapping[str, Schema] = {
    "string": {"type": "string"},
    "bytes": {"type": "string", "contentEncoding": "base64"},
    "timestamp": {"type": "string", "format": "date-time"},
    "date": {"type": "string", "format": "date"},
    "decimal": {"type": "string", "pattern": r"^-?\d+(\.\d+)?$"},
}


def openapi(services: Mapping[str, FeatureService], limits: ServeConfig) -> Schema:
    """The whole document, as JSON data."""
    paths: Schema = {f"/features/{n}": _features_path(s) for n, s in sorted(services.items())}
    paths["/get-online-features"] = _feast_path(services)
    paths |= _plain_paths(sorted(services))
    schemas: Schema = {"Problem": _problem_schema(), "Status": _enum(status.NAMES)}
    for name, service in sorted(services.items()):
        schemas[f"{name}_request"] = _request_schema(service, limits)
        schemas[f"{name}_answer"] = _answer_schema(service)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "noskew feature server",
            "version": version("noskew"),
            "description": (
                "Features of a project's services, as of now. Values in JSON: null is null and "
                "nothing else; NaN and the infinities are the strings NaN, Infinity and "
                "-Infinity; bytes are base64, timestamps ISO 8601 in UTC, decimals strings. "
                "Arrow gives the exact bits."
            ),
        },
        "servers": [{"url": "."}],
        "paths": paths,
        "components": {"schemas": schemas},
    }


def value_schema(kind: DType) -> Schema:
    """The JSON form of a value of a type, null included."""
    if kind.item is not None:
        items = value_schema(kind.item)
        bounds = {"minItems": kind.size, "maxItems": kind.size} if kind.kind == "vector" else {}
        return {"type": ["array", "null"], "items": items, **bounds}
    if kind.is_float:
        return {"anyOf": [{"type": ["number", "null"]}, _enum(["NaN", "Infinity", "-Infinity"])]}
    if kind.is_integer:
        half = 1 << (int(kind.kind[3:]) - 1)
        return {"type": ["integer", "null"], "minimum": -half, "maximum": half - 1}
    if kind.kind == "bool":
        return {"type": ["boolean", "null"]}
    return {**_STRINGS[kind.kind], "type": ["string", "null"]}


def _features_path(service: FeatureService) -> Schema:
    ref = {"$ref": f"#/components/schemas/{service.name}_request"}
    answer = {"$ref": f"#/components/schemas/{service.name}_answer"}
    arrow = {"schema": {"type": "string", "format": "binary"}}
    return {
        "post": {
            "operationId": f"features_{service.name}",
            "tags": ["features"],
            "summary": service.description or f"The features of {service.name}",
            "parameters": [
                {
                    "name": "metadata",
                    "in": "query",
                    "description": "full: with the version that each row was read at",
                    "schema": _enum(["basic", "full"]),
                }
            ],
            "requestBody": {
                "required": True,
                "content": {JSON: {"schema": ref}, MEDIA_TYPE: arrow},
            },
            "responses": {
                "200": {
                    "description": "The features, in the order of the rows.",
                    "content": {JSON: {"schema": answer}, MEDIA_TYPE: arrow},
                },
                **_problems(*_PROBLEMS),
            },
        }
    }


def _request_schema(service: FeatureService, limits: ServeConfig) -> Schema:
    kinds = {**service.join_keys, **service.request}
    columns = {
        name: {"type": "array", "items": value_schema(kind), "maxItems": limits.max_rows}
        for name, kind in kinds.items()
    }
    row = {name: value_schema(kind) for name, kind in kinds.items()}
    return _object(
        {
            "rows": {
                "description": "Columns of one length, or a list of rows.",
                "oneOf": [
                    _object(columns),
                    {"type": "array", "items": _object(row), "maxItems": limits.max_rows},
                ],
            }
        }
    )


def _answer_schema(service: FeatureService) -> Schema:
    told = {f["name"]: f["description"] for f in description(service)["features"]}
    name_or_list = {
        "oneOf": [
            {"$ref": "#/components/schemas/Status"},
            {"type": "array", "items": {"$ref": "#/components/schemas/Status"}},
        ]
    }
    features = {
        c.name: {"type": "array", "items": value_schema(c.dtype), "description": told[c.name]}
        for c in service.columns
    }
    moment = {"type": ["string", "null"], "format": "date-time"}
    version: Schema = _object(
        {"known_time": {**moment, "type": "string"}, "number": {"type": "integer"}}
    )
    versions = {"type": "array", "items": {"anyOf": [version, {"type": "null"}]}}
    views = [v.name for v in service.views]
    answer = _object(
        {
            "service": {"const": service.name},
            "t": {"type": "string", "format": "date-time"},
            "features": _object(features),
            "statuses": _object({c.name: name_or_list for c in service.columns}),
            "event_times": _object({v: {"type": "array", "items": moment} for v in views}),
        }
    )
    answer["properties"]["versions"] = _object(dict.fromkeys(views, versions))
    return answer


def _feast_path(services: Mapping[str, FeatureService]) -> Schema:
    text = {"type": "string"}
    vector = _object(
        {
            "values": {"type": "array"},
            "statuses": {
                "type": "array",
                "items": _enum(["PRESENT", "NULL_VALUE", "NOT_FOUND", "OUTSIDE_MAX_AGE"]),
            },
            "event_timestamps": {"type": "array", "items": {**text, "format": "date-time"}},
        }
    )
    names = _object({"feature_names": {"type": "array", "items": text}})
    body = {
        "type": "object",
        "required": ["entities"],
        "additionalProperties": False,
        "properties": {
            "feature_service": {**text, "enum": sorted(services)},
            "features": {"type": "array", "items": {**text, "pattern": "^[^:]+:.+$"}},
            "entities": {"type": "object", "additionalProperties": {"type": "array"}},
            "full_feature_names": {"type": "boolean", "default": False},
        },
    }
    answer = _object({"metadata": names, "results": {"type": "array", "items": vector}})
    return {
        "post": {
            "operationId": "get_online_features",
            "tags": ["features"],
            "summary": "The same, with the request and the answer of Feast's feature server",
            "requestBody": {"required": True, "content": {JSON: {"schema": body}}},
            "responses": {
                "200": _json("One result for each name, join keys first.", answer),
                **_problems("400", "404", "408", "413", "415", "422", "503"),
            },
        }
    }


def _plain_paths(names: list[str]) -> Schema:
    anything = {"type": "object"}
    service = {
        "name": "service",
        "in": "path",
        "required": True,
        "schema": {"type": "string", "enum": names},
    }
    return {
        "/services": _get("services", "The services", _json("Them all.", anything), "503"),
        "/services/{service}": {
            "parameters": [service],
            **_get(
                "service",
                "What a service needs and gives",
                _json("Its join keys, request fields, features and views.", anything),
                "404",
                "503",
            ),
        },
        "/healthz": _get("alive", "Whether the process lives", _text("It does.")),
        "/readyz": _get(
            "ready",
            "Whether requests can be answered: definitions compiled, the store up",
            _json("They can.", anything),
            "503",
        ),
        "/metrics": _get("metrics", "Counts for Prometheus", _text("Of all workers.")),
        "/openapi.json": _get("openapi", "This document", _json("It.", anything), "503"),
        "/docs": _get("docs", "A page to read it and try it", _text("HTML.", "text/html")),
    }


def _get(name: str, summary: str, answer: Schema, *problems: str) -> Schema:
    return {
        "get": {
            "operationId": name,
            "tags": ["server"],
            "summary": summary,
            "responses": {"200": answer, **_problems(*problems)},
        }
    }


def _problems(*codes: str) -> Schema:
    ref = {"$ref": "#/components/schemas/Problem"}
    return {code: _json(_PROBLEMS[code], ref) for code in codes}


def _problem_schema() -> Schema:
    text = {"type": "string"}
    error = _object({"type": text, "message": text})
    error["properties"]["valid"] = {"type": "array", "items": text}
    return _object({"error": error})


def _json(what: str, schema: Schema) -> Schema:
    return {"description": what, "content": {JSON: {"schema": schema}}}


def _text(what: str, kind: str = "text/plain") -> Schema:
    return {"description": what, "content": {kind: {"schema": {"type": "string"}}}}


def _object(properties: Schema) -> Schema:
    """An object that has all of these and nothing else."""
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def _enum(names: Any) -> Schema:
    return {"type": "string", "enum": list(names)}

"""OpenAPI 3.1: what the server takes and gives, with the schemas of every applied service."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import version

from noskew.config import ServeConfig
from noskew.definitions.service import FeatureService
from noskew.definitions.source import Source
from noskew.serving.http.description import description
from noskew.serving.http.openapi_push import push_paths
from noskew.serving.http.schemas import (
    PROBLEMS,
    JsonSchema,
    enum_of,
    json_answer,
    object_of,
    problems,
    text_answer,
    value_schema,
)
from noskew.wire import status
from noskew.wire.media_types import ARROW, JSON


def openapi(
    services: Mapping[str, FeatureService], sources: Mapping[str, Source], limits: ServeConfig
) -> JsonSchema:
    """The whole document, as JSON data. ``sources``: those that can be pushed to."""
    paths: JsonSchema = {f"/features/{n}": _features_path(s) for n, s in sorted(services.items())}
    paths["/get-online-features"] = _feast_path(services)
    paths |= push_paths(sources, limits)
    paths |= _plain_paths(sorted(services))
    schemas: JsonSchema = {"Problem": _problem_schema(), "Status": enum_of(status.NAMES)}
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


def _features_path(service: FeatureService) -> JsonSchema:
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
                    "schema": enum_of(["basic", "full"]),
                }
            ],
            "requestBody": {
                "required": True,
                "content": {JSON: {"schema": ref}, ARROW: arrow},
            },
            "responses": {
                "200": {
                    "description": "The features, in the order of the rows.",
                    "content": {JSON: {"schema": answer}, ARROW: arrow},
                },
                **problems(*PROBLEMS),
            },
        }
    }


def _request_schema(service: FeatureService, limits: ServeConfig) -> JsonSchema:
    kinds = {**service.join_keys, **service.request}
    columns = {
        name: {"type": "array", "items": value_schema(kind), "maxItems": limits.max_rows}
        for name, kind in kinds.items()
    }
    row = {name: value_schema(kind) for name, kind in kinds.items()}
    return object_of(
        {
            "rows": {
                "description": "Columns of one length, or a list of rows.",
                "oneOf": [
                    object_of(columns),
                    {"type": "array", "items": object_of(row), "maxItems": limits.max_rows},
                ],
            }
        }
    )


def _answer_schema(service: FeatureService) -> JsonSchema:
    meanings = {f["name"]: f["description"] for f in description(service)["features"]}
    name_or_list = {
        "oneOf": [
            {"$ref": "#/components/schemas/Status"},
            {"type": "array", "items": {"$ref": "#/components/schemas/Status"}},
        ]
    }
    features = {
        c.name: {"type": "array", "items": value_schema(c.dtype), "description": meanings[c.name]}
        for c in service.columns
    }
    moment = {"type": ["string", "null"], "format": "date-time"}
    version: JsonSchema = object_of(
        {"known_time": {**moment, "type": "string"}, "number": {"type": "integer"}}
    )
    versions = {"type": "array", "items": {"anyOf": [version, {"type": "null"}]}}
    views = [v.name for v in service.views]
    answer = object_of(
        {
            "service": {"const": service.name},
            "t": {"type": "string", "format": "date-time"},
            "features": object_of(features),
            "statuses": object_of({c.name: name_or_list for c in service.columns}),
            "event_times": object_of({v: {"type": "array", "items": moment} for v in views}),
        }
    )
    answer["properties"]["versions"] = object_of(dict.fromkeys(views, versions))
    return answer


def _feast_path(services: Mapping[str, FeatureService]) -> JsonSchema:
    text = {"type": "string"}
    vector = object_of(
        {
            "values": {"type": "array"},
            "statuses": {
                "type": "array",
                "items": enum_of(["PRESENT", "NULL_VALUE", "NOT_FOUND", "OUTSIDE_MAX_AGE"]),
            },
            "event_timestamps": {"type": "array", "items": {**text, "format": "date-time"}},
        }
    )
    names = object_of({"feature_names": {"type": "array", "items": text}})
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
    answer = object_of({"metadata": names, "results": {"type": "array", "items": vector}})
    return {
        "post": {
            "operationId": "get_online_features",
            "tags": ["features"],
            "summary": "The same, with the request and the answer of Feast's feature server",
            "requestBody": {"required": True, "content": {JSON: {"schema": body}}},
            "responses": {
                "200": json_answer("One result for each name, join keys first.", answer),
                **problems("400", "404", "408", "413", "415", "422", "503"),
            },
        }
    }


def _plain_paths(names: list[str]) -> JsonSchema:
    anything = {"type": "object"}
    service = {
        "name": "service",
        "in": "path",
        "required": True,
        "schema": {"type": "string", "enum": names},
    }
    return {
        "/services": _get("services", "The services", json_answer("Them all.", anything), "503"),
        "/services/{service}": {
            "parameters": [service],
            **_get(
                "service",
                "What a service needs and gives",
                json_answer("Its join keys, request fields, features and views.", anything),
                "404",
                "503",
            ),
        },
        "/healthz": _get("alive", "Whether the process lives", text_answer("It does.")),
        "/readyz": _get(
            "ready",
            "Whether requests can be answered: definitions compiled, the store up",
            json_answer("They can.", anything),
            "503",
        ),
        "/metrics": _get("metrics", "Counts for Prometheus", text_answer("Of all workers.")),
        "/openapi.json": _get("openapi", "This document", json_answer("It.", anything), "503"),
        "/docs": _get("docs", "A page to read it and try it", text_answer("HTML.", "text/html")),
    }


def _get(name: str, summary: str, answer: JsonSchema, *codes: str) -> JsonSchema:
    return {
        "get": {
            "operationId": name,
            "tags": ["server"],
            "summary": summary,
            "responses": {"200": answer, **problems(*codes)},
        }
    }


def _problem_schema() -> JsonSchema:
    text = {"type": "string"}
    error = object_of({"type": text, "message": text})
    error["properties"]["valid"] = {"type": "array", "items": text}
    return object_of({"error": error})

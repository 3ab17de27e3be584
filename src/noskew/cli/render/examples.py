"""Code that reads a feature service, ready to be copied."""

from __future__ import annotations

import json
import shlex

from noskew.definitions.service import FeatureService
from noskew.types import DType

#: A value of each kind that looks like one.
_SAMPLES: dict[str, object] = {
    "bool": True,
    "string": "…",
    "bytes": "…",
    "date": "2026-01-31",
    "timestamp": "2026-01-31T12:00:00Z",
    "float32": 1.5,
    "float64": 1.5,
    "decimal": "1.50",
}


def of_service(service: FeatureService, port: int) -> list[tuple[str, str]]:
    """(language, code): training in Python, then reading in Python, by command and by HTTP."""
    asked = {**service.join_keys, **service.request}
    values = {name: [sample(kind)] for name, kind in asked.items()}
    names = ", ".join([*asked, "event_timestamp"])
    python = (
        f"store = noskew.FeatureStore()\n"
        f"# rows: a frame with {names}\n"
        f'training = store.get_historical_features(rows, {service.name!r}, known_at="row")\n'
        f"online = store.get_online_features({service.name!r}, {values!r})"
    )
    pairs = " ".join(shlex.quote(f"{n}={v[0]}") for n, v in values.items())
    body = json.dumps({"rows": values}, ensure_ascii=False)
    return [
        ("python", python),
        ("bash", f"noskew get {service.name} {pairs}"),
        (
            "bash",
            f"curl -s http://127.0.0.1:{port}/features/{service.name} \\\n"
            f"  -H 'content-type: application/json' -d {shlex.quote(body)}",
        ),
    ]


def sample(kind: DType) -> object:
    """A value of a type, for an example."""
    if kind.item is not None:
        return [sample(kind.item)] * (kind.size if 0 < kind.size <= 4 else 2)
    return _SAMPLES.get(kind.kind, 1)

"""The least an HTTP answer needs, by hand: granian's RSGI, LMDB's getmulti, orjson.

The same read as the server's, without names checked, statuses, times, metrics or errors:
``{"rows": {"entity_id": [1, 2]}}`` gives ``{"features": {"f0": [0.1, 0.2], …}}``.
"""

from __future__ import annotations

import os
from typing import Any

import lmdb
import numpy as np
import orjson

FEATURES = 50
_NAMES = [f"f{i}" for i in range(FEATURES)]
_HEADERS = [("content-type", "application/json")]
_environment = lmdb.open(os.environ["BENCH_LMDB"], readonly=True, lock=False, readahead=False)


async def app(scope: Any, protocol: Any) -> None:
    ids = orjson.loads(await protocol())["rows"]["entity_id"]
    with _environment.begin() as transaction:
        if len(ids) == 1:
            raw = transaction.get(ids[0].to_bytes(8, "big"), b"")
            columns: Any = np.frombuffer(raw, np.float64).reshape(1, FEATURES).T.tolist()
        else:
            pairs = transaction.cursor().getmulti([i.to_bytes(8, "big") for i in ids])
            raw = b"".join([row for _, row in pairs])
            columns = np.frombuffer(raw, np.float64).reshape(len(ids), FEATURES).T.tolist()
    body = orjson.dumps({"features": dict(zip(_NAMES, columns, strict=True))})
    protocol.response_bytes(200, _HEADERS, body)

"""JSON rows: what a caller sends as JSON, as columns of the types that a service takes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from decimal import InvalidOperation
from itertools import islice
from typing import Any

import orjson

from noskew.errors import InputError, KeyTypeError, SchemaMismatchError, shown
from noskew.reading.request_plan import RequestPlan
from noskew.serving.http.problem import Refusal
from noskew.types import DType
from noskew.wire.json_values import converter


def rows_of(body: bytes, names: Iterable[str]) -> Any:
    """The member ``rows`` of a body. ``names``: of columns, as an example for who errs.

    Raises Refusal (400) for what is no JSON, InputError for JSON of another form.
    """
    try:
        data = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise Refusal(400, f"the body is not JSON: {str(error)[:200]}") from error
    if type(data) is dict and len(data) == 1 and "rows" in data:
        return data["rows"]
    example = ", ".join(f'"{name}": […]' for name in sorted(names))
    if type(data) is not dict:
        raise InputError(
            f'the body must be a JSON object such as {{"rows": {{{example}}}}}, got '
            f"{type(data).__name__}"
        )
    raise InputError(
        f"the body must have the one member 'rows', such as {{\"rows\": {{{example}}}}}; got "
        f"{', '.join(shown(n) for n in islice(data, 5)) or 'none'}"
    )


class JsonRows:
    """Turns the columns of a JSON request into what a reader of one service takes.

    Names and counts are those of the plan before any value is looked at. Raises what
    :meth:`RequestPlan.columns_of` does, and KeyTypeError or SchemaMismatchError for strings that
    are not what they stand for. Values of other types pass: the reader judges them, as it does in
    process.
    """

    def __init__(self, plan: RequestPlan) -> None:
        self._plan = plan
        keys = {n: k for n, k in plan.keys.items() if k.kind == "bytes"}
        self._keys = {n: converter(k) for n, k in keys.items()}
        fields = {n: converter(k) for n, k in plan.request_fields.items()}
        self._fields = {n: c for n, c in fields.items() if c is not None}
        self._converts = bool(self._keys or self._fields)
        self._kinds: Mapping[str, DType] = {**plan.keys, **plan.request_fields}

    def columns(self, rows: Any) -> Any:
        """``rows`` (columns, or a list of rows) with strings turned into what they stand for."""
        if not self._converts:
            return rows  # the reader looks at names and counts first, too
        columns, _ = self._plan.columns_of(rows)
        return {name: self._column(name, values) for name, values in columns.items()}

    def _column(self, name: str, values: Sequence[Any]) -> Sequence[Any]:
        if name not in self._keys and name not in self._fields:
            return values
        return [self._value(name, v) for v in values]

    def _value(self, name: str, value: Any) -> Any:
        convert = self._keys.get(name) or self._fields.get(name)
        if convert is None or value is None:
            return value
        try:
            return convert(value)
        except (ValueError, InvalidOperation) as error:
            kind = KeyTypeError if name in self._keys else SchemaMismatchError
            what = "join key" if name in self._keys else "request field"
            raise kind(
                f"the {what} {name!r} must be {self._kinds[name]}, got {shown(value)}: {error}"
            ) from error

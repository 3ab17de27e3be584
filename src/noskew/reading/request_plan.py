"""Request plans: everything about answering a service that does not depend on the request."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence, Set
from copy import copy
from dataclasses import dataclass
from functools import cached_property
from operator import itemgetter
from typing import Any, NamedTuple

import numpy as np

from noskew.addresses import Tenant
from noskew.definitions.service import FeatureService
from noskew.definitions.view import FeatureView
from noskew.errors import InputError, KeyTypeError, LimitError, nearest, shown, unknown
from noskew.kernel.keys import MAX_ENCODED, encode_integers, encode_part, part_converter, shorten
from noskew.kernel.on_demand import OnDemandFunctions
from noskew.kernel.plan import LatestFeature, ViewPlan, compile_view
from noskew.kernel.rows.codec import RowLayout
from noskew.kernel.rows.head import PlainRows, is_number, plain_rows
from noskew.types import DType
from noskew.wire.rows import as_columns, as_list

_INTEGERS = frozenset({"int8", "int16", "int32", "int64"})


@dataclass(frozen=True)
class ViewRequest:
    """How one view of a service is read."""

    view: FeatureView
    plan: ViewPlan
    layout: RowLayout
    prefix: bytes
    keys: tuple[str, ...]
    heartbeat: bytes | None  # read along where the view declares a freshness bound

    @cached_property
    def fixed(self) -> Mapping[str, LatestFeature]:
        """The features of latest values of fixed width."""
        columns = self.layout.fixed
        return {f.name: f for f in self.plan.latest if f.column in columns}

    @cached_property
    def numbers(self) -> frozenset[str]:
        """The features whose items in a row are Python numbers as they stand."""
        return frozenset(name for name, f in self.fixed.items() if is_number(f.kind))

    @cached_property
    def is_ageless(self) -> bool:
        """Whether no latest feature has an age."""
        return all(f.max_age is None for f in self.plan.latest)

    @cached_property
    def plain(self) -> PlainRows | None:
        """Reads rows whose features are all plain numbers without an age; else None."""
        return plain_rows(self.layout) if self.is_ageless else None

    @cached_property
    def places(self) -> Mapping[str, int]:
        """Where each feature of fixed width stands among the layout's columns."""
        columns = self.layout.fixed
        return {name: columns.index(f.column) for name, f in self.fixed.items()}


class RequestPlan:
    """A service compiled for reading: keys to encode, rows to read, columns to give."""

    def __init__(self, service: FeatureService, tenant: Tenant, *, max_rows: int = 100_000) -> None:
        self.service = service
        self.max_rows = max_rows
        self.views = tuple(_view_request(v, tenant) for v in service.views)
        self.keys: Mapping[str, DType] = dict(service.join_keys)
        self.request_fields: Mapping[str, DType] = dict(service.request)
        self.names = tuple(c.name for c in service.columns)
        #: For each view the (name in the answer, feature) of its columns; service order.
        self.stored = tuple(_stored(service))
        self.computes = bool(service.on_demand)
        self.functions = OnDemandFunctions(service)
        self.in_order = [n for _, wanted in self.stored for n, _ in wanted] == list(self.names)
        self._encoders = {name: _encoder(kind, name) for name, kind in self.keys.items()}
        #: The columns a caller gives: join keys and request fields.
        self.accepted = frozenset(self.keys) | frozenset(self.request_fields)
        self._alone = self.views[0] if len(self.views) == 1 and len(self.keys) == 1 else None
        if self._alone is not None and self._alone.heartbeat is not None:
            self._alone = None
        self._lone = _lone_key(self._alone, self.keys) if len(self.accepted) == 1 else None
        if max_rows < 1:
            self._lone = None
        #: For each view the masked features, and for each on-demand function the masked outputs.
        self.masked: Mapping[str, Mapping[str, DType]] = {}

    def masking(self, names: Set[str]) -> RequestPlan:
        """The same plan with some of its columns masked. Raises NotFoundError for other names."""
        masked: dict[str, dict[str, DType]] = {}
        for name in names:
            if name not in self.names:
                raise unknown("feature", name, self.names, where=f"service {self.service.name!r}")
        for c in self.service.columns:
            if c.name in names:
                masked.setdefault(c.origin.name, {})[c.feature] = c.dtype
        plan = copy(self)
        plan.masked = masked
        return plan

    def lone_key(self, rows: Any) -> bytes | None:
        """The store key of one row, for a service of one view and one key; else None.

        The commonest request, spared what only several rows, views or keys need. Whatever is
        unusual about one is left to :meth:`columns_of` and :meth:`store_keys`, which alone refuse.
        """
        lone = self._lone
        if lone is None or type(rows) is not dict or len(rows) != 1:
            return None
        values = rows.get(lone.name)
        if type(values) is not list or len(values) != 1:
            return None
        value = values[0]
        kind = type(value)
        # Neither an integer nor so short a text needs to be shortened.
        if (kind is int and value in lone.integers) or (
            kind is str and len(value) <= lone.letters and value.isascii()
        ):
            return lone.prefix + encode_part(value)
        return None

    def columns_of(self, rows: Any) -> tuple[dict[str, Sequence[Any]], int]:
        """A caller's rows as columns, and how many there are; names and lengths checked.

        Takes a mapping of columns, a list of mappings, or a frame. Raises InputError,
        KeyTypeError or LimitError.
        """
        if isinstance(rows, (list, tuple)):
            self._check_count(len(rows))
        columns = rows if type(rows) is dict else as_columns(rows, self.takes)
        if not columns and isinstance(rows, (list, tuple)):
            columns = {n: [] for n in (*self.keys, *self.request_fields)}  # no rows, no names
        sizes = set()
        for name in columns:
            self.takes(name)
            values = columns[name]
            if type(values) is not list:
                if columns is rows:  # which is the caller's, and stays what it is
                    columns = dict(rows)
                values = columns[name] = as_list(name, values)
            sizes.add(len(values))
        if len(columns) != len(self.accepted):
            absent = sorted(self.accepted - set(columns))[0]
            kind = "join key" if absent in self.keys else "request field"
            raise KeyTypeError(
                f"feature service {self.service.name!r} needs the {kind} {absent!r}; "
                f"given: {', '.join(columns)[:200] or 'nothing'}"
            )
        if len(sizes) > 1:
            raise InputError(
                "columns of different lengths: "
                + ", ".join(f"{n!r} has {len(v)}" for n, v in columns.items())
            )
        n = sizes.pop() if sizes else 0
        self._check_count(n)
        return columns, n

    def takes(self, name: str) -> bool:
        """True for a join key or a request field. Raises InputError for other names."""
        if name not in self.accepted:
            raise InputError(
                f"feature service {self.service.name!r} takes no {shown(name)}; "
                f"{nearest(str(name)[:128], self.accepted)}"
            )
        return True

    def _check_count(self, n: int) -> None:
        if n > self.max_rows:
            raise LimitError(f"{n} rows in one request; at most {self.max_rows} are answered")

    def store_keys(self, columns: Mapping[str, Sequence[Any]]) -> list[bytes | None]:
        """Store keys of all views' rows, view after view; None for a row with a null key."""
        if self._alone is not None:
            name = self._alone.keys[0]
            return self._encode(name, columns[name], self._alone.prefix)
        parts = {name: self._encode(name, columns[name], b"") for name in self._encoders}
        out: list[bytes | None] = []
        for view in self.views:
            prefix = view.prefix
            if len(view.keys) == 1:
                out += [None if p is None else prefix + shorten(p) for p in parts[view.keys[0]]]
                continue
            together = zip(*(parts[k] for k in view.keys), strict=True)
            out += [None if None in ps else prefix + shorten(b"".join(ps)) for ps in together]
        out += [v.heartbeat for v in self.views if v.heartbeat is not None]
        return out

    def _encode(self, name: str, values: Sequence[Any], prefix: bytes) -> list[bytes | None]:
        try:
            return self._encoders[name](values, prefix)
        except UnicodeEncodeError as error:
            raise KeyTypeError(
                f"the join key {name!r} must be {self.keys[name]}, got text with a lone surrogate, "
                f"which no UTF-8 can hold"
            ) from error


class _LoneKey(NamedTuple):
    """The one key of a service's one view, and which values of it are encoded as they stand."""

    name: str
    prefix: bytes
    integers: range
    letters: int  # the longest text; -1: none


def _lone_key(view: ViewRequest | None, keys: Mapping[str, DType]) -> _LoneKey | None:
    if view is None:
        return None
    ((name, kind),) = keys.items()
    if kind.kind == "string":
        return _LoneKey(name, view.prefix, range(0), MAX_ENCODED // 2)
    if kind.kind not in _INTEGERS:
        return None
    bound = 1 << (int(kind.kind[3:]) - 1)
    return _LoneKey(name, view.prefix, range(-bound, bound), -1)


class Wanted(tuple[tuple[str, str], ...]):
    """What an answer takes from one view of a plan: (name in the answer, feature), in order."""

    @cached_property
    def names(self) -> list[str]:
        return [name for name, _ in self]

    def of(self, places: Mapping[str, int]) -> Callable[[Sequence[Any]], Sequence[Any]]:
        """A function that picks the features, in order, from values at ``places``."""
        pick: Callable[[Sequence[Any]], Sequence[Any]] | None = self.__dict__.get("pick")
        if pick is None:
            at = [places[feature] for _, feature in self]
            if at == list(range(len(places))):
                pick = tuple  # all of them, as they stand
            else:
                pick = itemgetter(*at) if len(at) > 1 else lambda values: (values[at[0]],)
            self.__dict__["pick"] = pick
        return pick


def _stored(service: FeatureService) -> list[tuple[str, Wanted]]:
    by_view: dict[str, list[tuple[str, str]]] = {}
    for c in service.stored_columns:
        by_view.setdefault(c.origin.name, []).append((c.name, c.feature))
    return [(view, Wanted(wanted)) for view, wanted in by_view.items()]


def _view_request(view: FeatureView, tenant: Tenant) -> ViewRequest:
    plan = compile_view(view)
    rows = tenant.rows(view)
    beat = rows.heartbeat if view.freshness is not None else None
    return ViewRequest(view, plan, RowLayout(plan), rows.prefix, tuple(view.entity.keys), beat)


Encoder = Callable[[Sequence[Any], bytes], list[bytes | None]]


def _encoder(kind: DType, name: str) -> Encoder:
    """A function from a column of key values and a prefix to prefixed, encoded parts."""
    convert = part_converter(kind, name)

    def one_by_one(values: Sequence[Any], prefix: bytes) -> list[bytes | None]:
        if prefix:
            return [
                None if v is None else prefix + shorten(encode_part(convert(v))) for v in values
            ]
        return [None if v is None else encode_part(convert(v)) for v in values]

    if kind.kind not in _INTEGERS:
        return one_by_one
    bound = 1 << (int(kind.kind[3:]) - 1)

    def in_bulk(values: Sequence[Any], prefix: bytes) -> list[bytes | None]:
        if len(values) == 1 and type(values[0]) is int and -bound <= values[0] < bound:
            return [prefix + encode_part(values[0])]  # an integer needs no shortening
        if len(values) < 16 or set(map(type, values)) != {int}:
            return one_by_one(values, prefix)
        try:
            numbers = np.array(values, np.int64)
        except OverflowError:
            return one_by_one(values, prefix)
        if bound < 1 << 63 and not ((numbers >= -bound) & (numbers < bound)).all():
            return one_by_one(values, prefix)
        return encode_integers(numbers, prefix)  # type: ignore[return-value]

    return in_bulk

"""Tasks of the suite: at the top of a module, as every task is."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import pyarrow as pa

from noskew.errors import ConflictError
from noskew.runners.base import Piece


def same(pieces: Iterable[Piece], context: Mapping[str, Any]) -> Iterator[Piece]:
    """What came."""
    del context
    yield from pieces


def counts(pieces: Iterable[Piece], context: Mapping[str, Any]) -> Iterator[Piece]:
    """How many rows each piece has, times what the context says."""
    for number, table in pieces:
        yield Piece(number, pa.table({"rows": [len(table) * context["times"]]}))


def several(pieces: Iterable[Piece], context: Mapping[str, Any]) -> Iterator[Piece]:
    """As many pieces of each as the context says, with their places; none for a table of none."""
    for number, table in pieces:
        for place in range(context["pieces"] if len(table) else 0):
            yield Piece(number, pa.table({"place": [place]}))


def told(pieces: Iterable[Piece], context: Mapping[str, Any]) -> Iterator[Piece]:
    """The context's text and the names in its map, and then it is spoilt."""
    for number, _ in pieces:
        yield Piece(number, pa.table({"text": [context["text"]], "more": [sorted(context["map"])]}))
        context["map"].clear()


def fails(pieces: Iterable[Piece], context: Mapping[str, Any]) -> Iterator[Piece]:
    """An error at the piece whose number the context has: noskew's, or Python's."""
    for number, table in pieces:
        if number == context["at"]:
            if context["ours"]:
                raise ConflictError("it changed:\nrepeat the call")
            raise ZeroDivisionError("a task's own fault")
        yield Piece(number, table)


def of_archive(pieces: Iterable[Piece], context: Mapping[str, Any]) -> Iterator[Piece]:
    """What a module of a shared archive says."""
    import importlib

    value = importlib.import_module(context["module"]).VALUE
    for number, _ in pieces:
        yield Piece(number, pa.table({"value": [value]}))

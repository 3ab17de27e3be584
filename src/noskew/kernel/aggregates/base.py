"""The algebra every aggregate is made of.

A :class:`State` holds n states of one kind, in arrays. There are four operations, and the
whole of folding, merging, sliding windows and finalising is written in them:

- ``Accumulator.lift(events)``: one state an event, in the form that is merged fastest;
- ``state.merge(lo, hi)``: for each i the merge of the states ``lo[i]:hi[i]``;
- ``State.concat(states)`` and ``state.take(index)``: put together and pick;
- ``state.pack(groups)`` and ``Accumulator.unpack(reader)``: to bytes and back.

Merging is commutative, associative and rounds nothing, so any order, batching or tree of
merges gives the same bits; packing is canonical, so equal states are equal bytes.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, Self

import pyarrow as pa
from numpy.typing import NDArray

from noskew.kernel.arrays import Index, Mask
from noskew.kernel.cursors import Reader
from noskew.kernel.events import Events
from noskew.kernel.ragged import Ragged


class Lifted(ABC):
    """The states of n single events: what can be asked of them before they are merged."""

    @abstractmethod
    def __len__(self) -> int: ...

    @abstractmethod
    def merge(self, lo: Index, hi: Index) -> State:
        """For each i, the merge of the states ``lo[i]:hi[i]`` (none of them: the empty state).

        ``lo <= hi``. States that keep the order of events need ranges whose states follow in
        time, or were put together by :meth:`State.concat`, which makes them sort by themselves.
        """

    @abstractmethod
    def take(self, index: Index) -> State:
        """The states at these positions."""


class State(Lifted):
    """n states, each the summary of some set of events."""

    @abstractmethod
    def merge(self, lo: Index, hi: Index) -> Self: ...

    @abstractmethod
    def take(self, index: Index) -> Self: ...

    @classmethod
    @abstractmethod
    def concat(cls, parts: Sequence[Self]) -> Self:
        """All states of the parts, in order. The parts come from one accumulator."""

    @abstractmethod
    def pack(self, groups: Index) -> Ragged:
        """Bytes for each group of states; group g is ``groups[g]:groups[g + 1]``."""


class Accumulator(ABC):
    """What is accumulated of which column; features with equal accumulators share states.

    Subclasses are frozen dataclasses: their fields are the identity.
    """

    @abstractmethod
    def lift(self, events: Events) -> Lifted:
        """One state for each event."""

    @abstractmethod
    def unpack(self, reader: Reader) -> State:
        """The states that :meth:`State.pack` wrote, row after row; moves the cursors on.

        Raises CorruptDataError for bytes that it did not write, as far as it can tell; what it
        returns is safe to merge and finalise.
        """


class Aggregate(ABC):
    """One feature's function: the accumulators it needs and what their states say."""

    @property
    @abstractmethod
    def accumulators(self) -> tuple[Accumulator, ...]:
        """The accumulators, in the order in which :meth:`finalise` gets their states."""

    @abstractmethod
    def finalise(self, *states: Any) -> pa.Array:
        """The value of each state; null where the aggregate has none."""


def nullable(values: NDArray[Any], valid: Mask, kind: pa.DataType | None = None) -> pa.Array:
    """An Arrow array that is null where not valid."""
    return pa.array(values, kind, mask=None if valid.all() else ~valid)

"""Facts in an order of arrival, and rows that ask about them, at the edges of windows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hypothesis import strategies as st
from hypothesis.strategies import DrawFn, SearchStrategy

from noskew.definitions.aggregation import (
    Latest,
)
from noskew.definitions.view import FeatureView
from noskew.testing.reference import Fact, Row
from noskew.testing.strategies.column_values import values
from noskew.testing.strategies.entities import keys_of

#: Starts of timelines: the epoch, just before it, long before it, a leap second's neighbour.
_ANCHORS = st.sampled_from((0, -1, -1_234_567_890_123_456, 1_483_228_799_999_999))
# Made once, and those of a view before its loops: Hypothesis looks at each new strategy for longer
# than it draws from it.
_DELAYS = st.sampled_from((0, 0, 0, 1, -1, 1_000_000, 3_600_000_000, -300_000_000, 10**13))
_UNTIL_TAKEN_BACK = st.sampled_from((0, 1, 1_000_000, 3_600_000_000, 10**13, None))
_IDS = st.sampled_from((None, None, "e1", "e2", "e3"))
_BESIDE_A_FACT = st.sampled_from((0, 0, 0, -1, 1))
_BESIDE_A_ROW = st.sampled_from((0, 0, -1, 1))
_MOMENTS = st.sampled_from(("event_time", "event_time", "known_time"))
_ONE_IN_FOUR = st.integers(0, 3)
_ONE_IN_SIX = st.integers(0, 5)
_MULTIPLES = st.integers(-3, 3)


@st.composite
def facts(
    draw: DrawFn,
    view: FeatureView,
    *,
    min_size: int = 0,
    max_size: int = 20,
    retracted: bool = False,
) -> list[Fact]:
    """Facts in an order of arrival, from few keys, few times and few values.

    Event times lie at, and a microsecond beside, multiples of the view's hops, windows and ages;
    known times tie, come out of order, and are up to 5 minutes before the event. Ids repeat. Only
    the columns that the view's features use have values, the others are null. ``retracted``: some
    facts are taken back, soon after they became known or together with others.
    """
    keys = draw(st.lists(keys_of(view), min_size=1, max_size=3))
    around = _instants(view, draw(_ANCHORS))
    instants = draw(st.lists(around, min_size=1, max_size=5))
    loaded_at = sorted(instants)[-1] + 1
    columns = sorted(_used_columns(view))
    palettes = {
        name: st.sampled_from(
            [None, *draw(st.lists(values(view.columns[name]), min_size=1, max_size=6))]
        )
        for name in columns
    }
    if view.source.event_id is not None:
        palettes[view.source.event_id] = _IDS
    size = draw(st.sampled_from(range(min_size, max_size + 1)))
    one_instant, one_key = st.sampled_from(instants), st.sampled_from(keys)
    drawn_facts = []
    for sequence in draw(st.permutations(range(size))):
        event_time = draw(one_instant) + draw(_BESIDE_A_FACT)
        known_time = event_time + draw(_DELAYS)
        if draw(_ONE_IN_FOUR) == 0:
            # As when a batch is loaded: everything becomes known at one time.
            known_time = loaded_at
        drawn = {name: draw(palette) for name, palette in palettes.items()}
        key = draw(one_key)
        back = None
        if retracted and draw(_ONE_IN_FOUR) == 0:
            later = draw(_UNTIL_TAKEN_BACK)
            back = loaded_at if later is None else known_time + later
        drawn_facts.append(Fact(key, event_time, known_time, sequence, drawn, back))
    return drawn_facts


@st.composite
def rows(
    draw: DrawFn,
    view: FeatureView,
    about: Sequence[Fact],
    *,
    min_size: int = 0,
    max_size: int = 8,
) -> list[Row]:
    """Rows that ask about the facts' keys, and about unknown and null ones.

    Times are those of events (or when they became known), the edges of the tiles they are in,
    and a hop, window or age later, each exactly or a microsecond beside.
    """
    known_keys = [fact.key for fact in about]
    spans = _spans(view)
    one_span, one_wait = st.sampled_from(spans), st.sampled_from([0, 0, *spans])
    stranger = st.one_of(keys_of(view), keys_of(view, null=True))
    known_key = st.sampled_from(known_keys) if known_keys else stranger
    one_fact = st.sampled_from(about) if about else None
    drawn_rows: list[Row] = []
    for _ in range(draw(st.sampled_from(range(min_size, max_size + 1)))):
        asks_known: int = draw(_ONE_IN_SIX)
        key = draw(known_key if asks_known else stranger)
        if one_fact is None:
            base = draw(_instants(view, draw(_ANCHORS)))
        else:
            fact = draw(one_fact)
            base = getattr(fact, draw(_MOMENTS))
        if draw(st.booleans()):
            hop = draw(one_span)
            base = base // hop * hop
        t = base + draw(one_wait) + draw(_BESIDE_A_ROW)
        drawn_rows.append((key, t))
    repeats: bool = draw(st.booleans())
    return drawn_rows + drawn_rows[:1] if repeats else drawn_rows


def known_ats(about: Sequence[Fact]) -> SearchStrategy[Any]:
    """Values of ``known_at``: None, ``"row"``, and times at and beside known times."""
    times = [fact.known_time + d for fact in about for d in (-1, 0)] or [0]
    return st.one_of(st.none(), st.just("row"), st.sampled_from(times))


def _used_columns(view: FeatureView) -> set[str]:
    used = {feature.spec.column for feature in view.features.values()}
    for feature in view.features.values():
        if not isinstance(feature.spec, Latest):
            used.add(feature.spec.where)
    return {name for name in used if name is not None}


def _spans(view: FeatureView) -> list[int]:
    """Every length that a feature of the view knows: hops, windows, ages."""
    lengths = {1}
    for feature in view.features.values():
        lengths |= {span for span in (feature.window, feature.hop, feature.max_age) if span}
    return sorted(lengths)


@st.composite
def _instants(draw: DrawFn, view: FeatureView, anchor: int) -> int:
    """Multiples of the view's spans, near the anchor."""
    span = draw(st.sampled_from(_spans(view)))
    return anchor // span * span + span * draw(_MULTIPLES)

"""A stream is a fold of its log: any batching gives the same bytes, equal to batch."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

import noskew as ns
from noskew.addresses import PREFIX_BYTES, Tenant, part_of
from noskew.definitions.view import FeatureView
from noskew.intake.messages import encode_arrow
from noskew.kernel.events import Events
from noskew.kernel.history import historical
from noskew.kernel.plan import compile_view
from noskew.kernel.rows.codec import RowLayout, unpack_rows, version_of
from noskew.kernel.rows.merging import merge_rows
from noskew.kernel.state import finalise
from noskew.stores.log.base import Messages
from noskew.streaming.decoding.arrow import ArrowDecoder
from noskew.streaming.decoding.json import JsonDecoder
from noskew.streaming.fold.event_pipeline import EventPipeline
from noskew.streaming.fold.progress import PartitionProgress
from noskew.streaming.fold.screening import Quarantined
from noskew.streaming.fold.view_fold import ViewFold
from tests.streaming.history import History

S = 1_000_000
H = 3_600 * S
SCHEMA = {"user": int, "at": "timestamp", "x": float, "id": str, "made": "timestamp"}


def make_view(late: str = "fold", *, key: str | tuple[()] = "user", **source: Any) -> FeatureView:
    events = ns.Source(
        "events",
        SCHEMA,
        event_time="at",
        stream=ns.Kafka("events", key=key),
        max_future="30s",
        **source,
    )
    return ns.FeatureView(
        "view",
        entity=ns.Entity("user", {"user": int}),
        source=events,
        lateness="20s",
        late=late,
        features=[
            ns.count(window=["1min", "1h"]),
            ns.sum("x", window="1min"),
            ns.mean("x"),
            ns.last_value("x", window="1min"),
            ns.max("x", window="10s", hop="exact"),
            "x",
        ],
    )


class Stream:
    """A whole processor in memory, as plain as can be."""

    def __init__(self, view: FeatureView) -> None:
        self.fold = ViewFold(view, Tenant("p"))
        self.pipeline = EventPipeline([view], JsonDecoder(view.source.schema, "s"))
        self.history = History()
        self.rows: dict[bytes, bytes] = {}
        self.quarantined: list[Quarantined] = []
        self.archive: list[pa.Table] = []
        self.late: list[pa.Table] = []

    def step(self, messages: Messages) -> None:
        (accepted,) = self.pipeline(messages, [self.history])
        keys = self.fold.keys(accepted, messages.partition)
        before = [self.rows.get(k) for k in keys]
        self.rows |= zip(keys, self.fold.rows(accepted, before), strict=True)
        self.quarantined += accepted.quarantined
        self.archive.append(accepted.table)
        self.late.append(accepted.late)
        self.history.add(accepted)

    @property
    def progress(self) -> PartitionProgress:
        return self.history.progress


def messages(texts: Sequence[bytes], times: Sequence[int], first: int = 0) -> Messages:
    offsets = np.arange(first, first + len(texts)) * 3  # a log may leave offsets out
    payloads = pa.array(texts, pa.large_binary())
    return Messages(0, offsets, np.array(times, np.int64), payloads, (first + len(texts)) * 3)


def run(
    view: FeatureView, texts: Sequence[bytes], times: Sequence[int], cuts: Sequence[int] = ()
) -> Stream:
    stream = Stream(view)
    for a, b in zip([0, *cuts], [*cuts, len(texts)], strict=True):
        stream.step(messages(texts[a:b], times[a:b], a))
    return stream


events = st.fixed_dictionaries(
    {
        "user": st.sampled_from([1, 1, 2, None]),
        "at": st.sampled_from(
            [0, 1, 5 * S, 59 * S, 60 * S, 61 * S, 80 * S, 100 * S, 130 * S, 3 * H, None]
        ),
        "x": st.sampled_from([None, 0.1, 0.2, 0.3, -1e300, 1e300]),
        "id": st.sampled_from([None, None, "a", "b"]),
    }
).map(lambda e: json.dumps(e).encode())
texts = st.lists(st.one_of(events, st.just(b"{")), min_size=1, max_size=14)
#: Append times that mostly grow, and may step back.
steps = st.lists(st.sampled_from([0, 0, S, 30 * S, 90 * S, -S]), min_size=14, max_size=14)


@pytest.mark.parametrize("late", ["fold", "drop", "table"])
@given(texts=texts, steps=steps, data=st.data())
def test_any_batching_of_a_log_gives_the_same_bytes(
    late: str, texts: list[bytes], steps: list[int], data: st.DataObject
) -> None:
    view = make_view(late, event_id="id", event_id_horizon="1min")
    times = (np.cumsum(steps)[: len(texts)] + 60 * S).tolist()
    cuts = sorted(data.draw(st.lists(st.integers(0, len(texts)), max_size=5)))
    once, cut = run(view, texts, times), run(view, texts, times, cuts)
    assert cut.rows == once.rows
    assert cut.progress == once.progress
    assert cut.quarantined == once.quarantined
    for ours, theirs in ((cut.archive, once.archive), (cut.late, once.late)):
        assert pa.concat_tables(ours).equals(pa.concat_tables(theirs))
    progress = once.progress
    assert progress.consumed == len(texts)
    assert (
        progress.consumed
        == progress.folded + progress.late + progress.duplicate + progress.quarantined
    )
    assert progress.late == sum(map(len, once.late))
    # Read again from anywhere: what is folded already changes nothing.
    cut.step(messages(texts, times))
    assert (cut.rows, cut.progress, len(cut.quarantined)) == (
        once.rows,
        progress,
        progress.quarantined,
    )


@given(texts=texts, steps=steps, wait=st.sampled_from([0, 1, 10 * S, 70 * S, 2 * H, 5 * H]))
def test_a_stream_answers_as_the_history_of_its_archive_does(
    texts: list[bytes], steps: list[int], wait: int
) -> None:
    view = make_view()
    times = (np.cumsum(steps)[: len(texts)] + 60 * S).tolist()
    stream = run(view, texts, times, [len(texts) // 2])
    if not stream.rows:
        return
    plan = compile_view(view)
    archived = Events.from_table(pa.concat_tables(stream.archive), ["user"])
    keys = [stream.fold.prefix + k for k in archived.encoded_keys().to_list()]
    assert set(keys) == set(stream.rows)
    state = unpack_rows(RowLayout(plan), [stream.rows[k] for k in keys])
    t = np.full(len(keys), stream.progress.known + wait)
    online = finalise(plan, state, t)
    offline = historical(plan, archived, np.arange(len(keys)), t, int(t[0]))
    for name, values in online.items():
        assert values.equals(offline[name]), name


@given(
    texts=texts,
    steps=steps,
    where=st.lists(st.integers(0, 2), min_size=14, max_size=14),
)
def test_the_parts_of_a_row_merge_to_the_row_of_all_their_events(
    texts: list[bytes], steps: list[int], where: list[int]
) -> None:
    times = (np.cumsum(np.abs(steps))[: len(texts)] + 60 * S).tolist()
    whole = run(make_view(), texts, times)
    parts = [Stream(make_view(key=())) for _ in range(3)]
    for at, (body, time, number) in enumerate(zip(texts, times, where, strict=False)):
        one = messages([body], [time], at)
        parts[number].step(replace(one, partition=number))
    keys, prefix = list(whole.rows), parts[0].fold.prefix
    rows = [
        [part.rows.get(part_of(prefix + k[PREFIX_BYTES:], n + 1)) for k in keys]
        for n, part in enumerate(parts)
    ]
    assert sum(len(p.rows) for p in parts) == sum(r is not None for rs in rows for r in rs)
    assert merge_rows(whole.fold.layout, rows, len(keys)) == [whole.rows[k] for k in keys]


def test_versions_are_the_known_time_and_what_follows_the_offset_of_the_last_event() -> None:
    stream = run(make_view(), [text(1, 0), text(2, 0), text(1, 0)], [60 * S, 70 * S, 65 * S])
    assert sorted(map(version_of, stream.rows.values())) == [(70 * S, 4), (70 * S, 7)]


def text(user: int | None, at: int, **more: Any) -> bytes:
    return json.dumps({"user": user, "at": at, "x": 1.0, **more}).encode()


def test_late_is_judged_by_the_newest_event_before_in_offset_order() -> None:
    log = [text(1, 100 * S), text(1, 80 * S), text(1, 80 * S - 1), text(2, 79 * S), text(1, 90 * S)]
    times = [100 * S] * 5
    kept = run(make_view("table"), log, times)
    assert (kept.progress.late, kept.progress.folded, kept.progress.late_folded) == (2, 3, 0)
    assert kept.late[0].column("user").to_pylist() == [1, 2]
    folded = run(make_view("fold"), log, times)
    assert (folded.progress.late, folded.progress.folded, folded.progress.late_folded) == (0, 5, 2)
    early = [log[1], log[2], log[0]]
    assert run(make_view("drop"), early, times[:3]).progress.late == 0, "later events do not count"


def test_duplicates_are_recognised_within_the_horizon_and_by_entity() -> None:
    view = make_view(event_id="id", event_id_horizon="10s")
    log = [
        text(1, 0, id="a"),
        text(2, 0, id="a"),
        text(1, 1, id="a"),
        text(1, 2),
        text(1, 3),
        text(1, 4, id="a"),
        text(1, 5, id="a"),
    ]
    times = [60 * S, 60 * S, 70 * S, 70 * S, 70 * S, 70 * S + 1, 70 * S + 1]
    for cuts in ([], [1, 2, 3, 4, 5, 6]):
        stream = run(view, log, times, cuts)
        assert stream.progress.duplicate == 2
        assert len(pa.concat_tables(stream.archive)) == 5


def test_what_is_quarantined_says_where_it_came_from_and_why() -> None:
    log = [
        text(1, 0),
        b"{",
        text(None, 0),
        text(1, 60 * S + 30 * S),
        text(1, 60 * S + 30 * S + 1),
        json.dumps({"user": 1}).encode(),
    ]
    stream = run(make_view(), log, [60 * S] * 6)
    found = [(q.offset, q.place, q.known_time) for q in stream.quarantined]
    assert found == [(3, 0, 60 * S), (6, 0, 60 * S), (12, 0, 60 * S), (15, 0, 60 * S)]
    reasons = [q.reason for q in stream.quarantined]
    assert "truncated" in reasons[0]
    assert reasons[1:] == ["null key", "future event time", "no event time"]
    assert [q.payload for q in stream.quarantined] == [log[i] for i in (1, 2, 4, 5)]
    assert stream.progress.newest == 90 * S, "a quarantined event moves no watermark"
    assert (stream.progress.consumed, stream.progress.folded) == (6, 2)


def test_a_bad_row_of_many_in_a_message_is_kept_alone() -> None:
    view = make_view()
    rows = JsonDecoder(view.source.schema, "s")(
        pa.array([text(1, 0), text(None, 5), text(2, 0)], pa.large_binary())
    ).rows
    stream = Stream(view)
    stream.pipeline = EventPipeline([view], ArrowDecoder(view.source.schema, "s"))
    stream.step(messages([encode_arrow(rows), b"?"], [60 * S] * 2))
    first, second = stream.quarantined
    assert (first.offset, first.place, first.reason) == (0, 1, "null key")
    with pa.ipc.open_stream(first.payload) as reader:
        assert reader.read_all().to_pylist() == rows.slice(1, 1).to_pylist()
    assert (second.offset, second.payload) == (3, b"?")
    assert (stream.progress.consumed, stream.progress.folded, stream.progress.quarantined) == (
        4,
        2,
        2,
    )


def test_a_filter_leaves_rows_without_effect_and_counts_them_folded() -> None:
    view = make_view(filter="x > 0")
    stream = run(view, [text(1, 0), text(1, 1, x=-1.0)], [60 * S] * 2)
    assert (stream.progress.folded, len(stream.archive[0])) == (2, 1)

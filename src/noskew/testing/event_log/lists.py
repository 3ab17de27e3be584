"""A log and lists that are told the same."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from noskew.stores.log.base import EventLog
from noskew.testing.event_log.reading import ODD, PATIENCE_S
from noskew.testing.event_log.suite import EventLogSuite


class ListTests(EventLogSuite):
    """Whatever is done in whatever order."""

    def test_it_behaves_as_a_list(self, log: EventLog) -> None:
        class Machine(_LogBesideLists):
            def __init__(self) -> None:
                super().__init__(log)

        run_state_machine_as_test(
            Machine, settings=settings(deadline=None, max_examples=20, stateful_step_count=25)
        )


class _LogBesideLists(RuleBasedStateMachine):
    """A log and two lists are told the same; they must never be told apart.

    Each run begins at the present ends, so that it needs no new log.
    """

    def __init__(self, log: EventLog) -> None:
        super().__init__()
        self.log = log
        self.model: list[list[tuple[int, bytes]]] = [[], []]
        self.places = [0, 0]
        self.paused: set[int] = set()
        self.reader = log.reader({p: log.bounds(p)[1] for p in (0, 1)})

    def teardown(self) -> None:
        self.reader.close()

    @rule(
        partition=st.integers(0, 1),
        payloads=st.lists(st.sampled_from(ODD) | st.binary(max_size=300), min_size=1, max_size=9),
    )
    def append(self, partition: int, payloads: list[bytes]) -> None:
        last = self.log.append(partition, payloads)
        offsets = range(last + 1 - len(payloads), last + 1)
        self.model[partition] += zip(offsets, payloads, strict=True)

    @rule()
    def read(self) -> None:
        waiting = [p for p in (0, 1) if p not in self.paused]
        while any(self.places[p] < len(self.model[p]) for p in waiting):
            polled = self.reader.poll(PATIENCE_S)
            assert polled, "messages are missing"
            for messages in polled:
                p, at = messages.partition, self.places[messages.partition]
                assert p not in self.paused
                expected = self.model[p][at : at + len(messages)]
                pairs = zip(messages.offsets, messages.payloads.to_pylist(), strict=True)
                assert list(pairs) == expected
                self.places[p] += len(messages)
        assert self.reader.poll(0.0) == []

    @rule(partition=st.integers(0, 1))
    def pause_or_resume(self, partition: int) -> None:
        if partition in self.paused:
            self.reader.resume(partition)
        else:
            self.reader.pause(partition)
        self.paused ^= {partition}

    @rule(partition=st.integers(0, 1), share=st.floats(0, 1))
    def go_elsewhere(self, partition: int, share: float) -> None:
        expected = self.model[partition]
        at = int(share * len(expected))
        offset = expected[at][0] if at < len(expected) else self.log.bounds(partition)[1]
        self.reader.assign(partition, offset)
        self.places[partition] = at
        self.paused.discard(partition)

    @invariant()
    def ends_after_the_last_message(self) -> None:
        for partition, held in enumerate(self.model):
            if held:
                assert self.log.bounds(partition)[1] == held[-1][0] + 1

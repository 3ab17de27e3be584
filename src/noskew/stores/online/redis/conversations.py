"""What to send to the nodes of a cluster next, by what came back; pure, without any I/O.

A conversation is a generator: it yields what to send, a part for each node, and is given the
replies to each part, or the exception that the exchange raised. Blocking and asynchronous reads
are the same conversation, and differ in who carries the bytes (:func:`carry`, :func:`carry_async`).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Generator, Sequence
from time import monotonic
from typing import TypeAlias, TypeVar

from noskew.errors import StoreUnavailableError
from noskew.stores.online.redis.address import Address
from noskew.stores.online.redis.faults import (
    ConnectionLostError,
    LateAnswerError,
    raise_errors,
    silent,
    too_late,
    unreachable,
)
from noskew.stores.online.redis.layout import ASK_LAYOUT, Layout, Survey
from noskew.stores.online.redis.routing import NOBODY, Endpoint, Job, Part
from noskew.stores.online.redis.script import LOAD_ONE
from noskew.stores.online.redis.silence import Silence

_T = TypeVar("_T")
Answers: TypeAlias = list[list[object]]
Conversation: TypeAlias = Generator[list[Part], Answers, _T]

#: Redirections and reloads of one request: one of each, and room for a cluster that is moving.
_MAX_ROUNDS = 8
#: Who asks for the layout waits so much of the time-out: most nodes answer at once or never.
_QUICK = 0.25
#: How often it is looked who took the place of a node that does not answer.
_LOOK_S = 0.1


class Conversations:
    """The conversations with one cluster, and what is known of it. Shared by threads."""

    def __init__(self, address: Address) -> None:
        self.address = address
        self.seed = (address.host, address.port)
        #: The primary of each slot; replaced as a whole, so that a reader needs no lock.
        self.owners: list[Endpoint] = []
        #: Whom to ask for the layout; who knew it the last time comes first.
        self._known: list[Endpoint] = [self.seed]
        self._silence = Silence(pause_s=address.timeout_s)
        self._looked = monotonic()

    @property
    def primaries(self) -> list[Endpoint]:
        """Who holds rows, in a stable order."""
        return sorted(set(self.owners) - {NOBODY})

    def begin(self, layout: Layout) -> None:
        """Take the first layout, which the node of the address gave."""
        self.owners, self._known = layout.owners, self._nodes_of(layout, self.seed)

    def run(self, keys: Sequence[bytes], commands: list[bytes]) -> Conversation[list[object]]:
        """The reply to the command of each key, redirected as often as needed."""
        job = Job(keys, commands)
        for _ in range(_MAX_ROUNDS):
            if self._is_to_look(job):
                yield from self.refresh()
            parts = job.parts(self.owners)
            if not parts:
                return job.replies
            try:
                job.absorb(parts, (yield from self._sent(parts)))
                for endpoint in job.take_unloaded():
                    yield from self.call(endpoint, LOAD_ONE)
            except ConnectionLostError as error:
                job.lost(error, self.address)
            if job.misrouted:
                yield from self.refresh()
                job.correct(self.owners)
        raise StoreUnavailableError(
            f"the cluster of {self.address} redirected a request {_MAX_ROUNDS} times; "
            f"it is being changed: try again"
        )

    def call(self, endpoint: Endpoint, command: bytes) -> Conversation[list[object]]:
        """The reply of one node, in a list. Raises StoreUnavailableError without one."""
        address = self.address.at(*endpoint)
        try:
            (replies,) = yield from self._sent([Part(endpoint, [0], command)])
        except ConnectionLostError as error:
            raise unreachable(address, error) from error
        raise_errors(replies, address)
        return replies

    def refresh(self) -> Conversation[None]:
        """Learn from a node that answers which node has which slot."""
        self._looked = monotonic()
        whole_s = self.address.timeout_s
        survey = Survey(self._known, self._silence, whole_s)
        for endpoint, is_quick in survey.questions():
            within_s = whole_s * _QUICK if is_quick else whole_s
            try:
                (replies,) = yield [Part(endpoint, [0, 1], ASK_LAYOUT, within_s=within_s)]
                raise_errors(replies, self.address.at(*endpoint))
            except (ConnectionLostError, LateAnswerError, StoreUnavailableError) as error:
                survey.miss(endpoint, error)
            else:
                survey.take(endpoint, replies)
        self._learn(survey)

    def _sent(self, parts: list[Part]) -> Conversation[Answers]:
        """The replies to parts; takes note of which of their nodes answer.

        Raises StoreUnavailableError when one does not, and at once when it did not a moment ago.
        """
        endpoints = [part.endpoint for part in parts]
        resting = self._silence.admit(endpoints)
        if resting is not None:
            raise silent(self.address.at(*resting))
        try:
            answers = yield parts
        except LateAnswerError as error:
            self._silence.begin((error.address.host, error.address.port))
            raise too_late(error.address) from error
        except ConnectionLostError:
            self._silence.end(endpoints)
            raise
        self._silence.end(endpoints)
        return answers

    def _is_to_look(self, job: Job) -> bool:
        """Whether another node may have taken the place of one that is needed and silent."""
        return (
            bool(self._silence)
            and monotonic() - self._looked >= _LOOK_S
            and any(endpoint in self._silence for endpoint in job.needed(self.owners))
        )

    def _learn(self, survey: Survey) -> None:
        """Raises StoreUnavailableError if no node answered."""
        self._known = survey.known()
        layout = survey.result(self.address)
        self.owners = layout.owners
        if survey.guide is not None:
            self._known = self._nodes_of(layout, survey.guide)
            self._silence.keep(layout.primaries)
        if NOBODY in layout.owners:
            # Whoever needs it is to look whether somebody serves its slots by then.
            self._silence.begin(NOBODY)

    def _nodes_of(self, layout: Layout, guide: Endpoint) -> list[Endpoint]:
        """All nodes: of the replicas one may be the last that can be asked."""
        return [*dict.fromkeys([guide, *layout.primaries, self.seed, *layout.replicas])]


def carry(conversation: Conversation[_T], exchange: Callable[[list[Part]], Answers]) -> _T:
    """What a conversation comes to, whose parts ``exchange`` carries."""
    try:
        parts = next(conversation)
        while True:
            try:
                answers = exchange(parts)
            except BaseException as error:  # noqa: BLE001 - it is for the conversation to judge
                parts = conversation.throw(error)
            else:
                parts = conversation.send(answers)
    except StopIteration as end:
        outcome: _T = end.value
        return outcome


async def carry_async(
    conversation: Conversation[_T], exchange: Callable[[list[Part]], Awaitable[Answers]]
) -> _T:
    """As :func:`carry`, in an event loop."""
    try:
        parts = next(conversation)
        while True:
            try:
                answers = await exchange(parts)
            except BaseException as error:  # noqa: BLE001 - as above
                parts = conversation.throw(error)
            else:
                parts = conversation.send(answers)
    except StopIteration as end:
        outcome: _T = end.value
        return outcome

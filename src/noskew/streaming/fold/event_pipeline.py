"""The way from the messages of a partition to the events of views: decode, screen, accept."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Protocol

from noskew.definitions.view import FeatureView
from noskew.stores.log.base import Messages
from noskew.streaming.decoding.base import Decoder
from noskew.streaming.fold.acceptance import Acceptance, Accepted
from noskew.streaming.fold.progress import PartitionProgress
from noskew.streaming.fold.screening import Screening


class EventHistory(Protocol):
    """What messages that were read before leave behind, of one view and one partition."""

    @property
    def progress(self) -> PartitionProgress:
        """How far the view is."""

    def seen(self, identities: Sequence[bytes | None]) -> Mapping[bytes, int]:
        """When events of these identities were accepted last, of those that were."""


class EventPipeline:
    """Makes events of messages, the same for whoever reads the log; it keeps nothing.

    What it gives is a function of the messages and of the histories: a reader that hands over the
    histories that its own earlier batches led to gets the same events, however it cuts the log.
    Safe to share by threads and partitions, as far as the decoder is.
    """

    def __init__(self, views: Sequence[FeatureView], decode: Decoder) -> None:
        self._decode = decode
        self._stages = [(Screening(view), Acceptance(view)) for view in views]

    def __call__(self, messages: Messages, histories: Sequence[EventHistory]) -> Iterator[Accepted]:
        """What becomes of the messages, for each view in turn; they are decoded once.

        ``histories``: one for each view. Raises what the decoder does, before anything is given.
        """
        decoded = self._decode(messages.payloads)
        for (screen, accept), history in zip(self._stages, histories, strict=True):
            screened = screen(messages, decoded, history.progress)
            yield accept(screened, history.seen(screened.identity or ()))

"""Faults that last: logged when they begin and when they are over, not each time they are met."""

from __future__ import annotations

from logging import Logger

from noskew.errors import NoskewError
from noskew.redaction import masked


class FaultLog:
    """The faults of one part of a stream, such as its archive, in a logger.

    A part that tries again every second meets the same fault every second: that is one warning,
    one more if it becomes another kind of fault, and an information when it works again.
    """

    def __init__(self, logger: Logger, part: str) -> None:
        self._logger, self._part = logger, part
        self._kind: type[NoskewError] | None = None

    def note(self, fault: NoskewError | None) -> None:
        """What a try met; None: it worked."""
        kind = None if fault is None else type(fault)
        if kind is self._kind:
            return
        self._kind = kind
        if fault is None:
            self._logger.info("%s works again", self._part)
        else:
            self._logger.warning(
                "%s failed and is tried again: %s: %s",
                self._part,
                type(fault).__name__,
                masked(str(fault)),
            )

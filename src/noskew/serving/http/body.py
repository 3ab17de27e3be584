"""Reading request bodies: never more of one than the limit, and never for longer than allowed."""

from __future__ import annotations

import asyncio
from time import monotonic
from typing import Any

from granian.rsgi import ProtocolClosed, ProtocolError

from noskew.errors import LimitError
from noskew.serving.http.problem import Refusal

#: A body that is refused is still read up to so many times the limit, and thrown away: a client
#: that is cut off while it sends sees a broken connection instead of the reason.
_PATIENCE = 8
_PATIENCE_S = 5.0


class Bodies:
    """Reads bodies of at most ``limit`` bytes that arrive within ``timeout_s``. One for a worker.

    A timer for each request would cost as much as all else that is done to read a body. Those
    that are waited for are noted instead, and :meth:`watch` gives up on the old ones.
    """

    def __init__(self, limit: int, timeout_s: float) -> None:
        self._limit, self._timeout_s = limit, timeout_s
        self._since: dict[Any, float] = {}  # oldest first

    async def read(self, headers: Any, proto: Any) -> bytes:
        """The whole body of a request.

        Raises LimitError if it has too many bytes, Refusal if it ends too early (400) or does
        not end in time (408).
        """
        length = headers.get("content-length")
        if length is None or int(length) > self._limit:
            return await self._read_unusual(headers, proto, length)
        waiting = proto()
        self._since[waiting] = monotonic()
        try:
            body: bytes = await waiting
        except asyncio.CancelledError:
            if waiting in self._since:
                raise
            raise self._too_slow() from None
        except (ProtocolClosed, ProtocolError) as error:
            raise _broken(error) from error
        finally:
            self._since.pop(waiting, None)
        return body

    async def watch(self) -> None:
        """Give up on bodies that take too long, until cancelled."""
        while True:
            await asyncio.sleep(min(1.0, self._timeout_s / 4))
            oldest = monotonic() - self._timeout_s
            late = [waiting for waiting, since in self._since.items() if since < oldest]
            for waiting in late:
                del self._since[waiting]
                waiting.cancel()

    async def _read_unusual(self, headers: Any, proto: Any, length: str | None) -> bytes:
        """A body whose length is not known, or is too large."""
        chunks = proto.__aiter__()
        try:
            if length is None:
                async with asyncio.timeout(self._timeout_s):
                    return await self._read_chunks(chunks)
            if "expect" not in headers and int(length) <= self._limit * _PATIENCE:
                await _discard(chunks, self._limit * _PATIENCE)
        except TimeoutError:
            raise self._too_slow() from None
        except (ProtocolClosed, ProtocolError) as error:
            raise _broken(error) from error
        raise self._too_large(f"it says content-length: {length[:40]}")

    async def _read_chunks(self, chunks: Any) -> bytes:
        body = bytearray()
        while (chunk := await _next(chunks)) is not None:
            body += chunk
            if len(body) > self._limit:
                await _discard(chunks, self._limit * _PATIENCE)
                raise self._too_large("it was sent in chunks")
        return bytes(body)

    def _too_large(self, how: str) -> LimitError:
        return LimitError(
            f"the body of this request is too large ({how}); at most {self._limit} bytes are "
            f"taken: send fewer rows in each request, or raise serve.max_body_bytes in noskew.toml"
        )

    def _too_slow(self) -> Refusal:
        return Refusal(
            408,
            f"the body did not arrive within {self._timeout_s:g} s; send smaller ones, or raise "
            f"serve.body_timeout_s in noskew.toml",
        )


async def _next(chunks: Any) -> bytes | None:
    """The next chunk; None after the last. A body can be iterated only once."""
    try:
        chunk: bytes = await chunks.__anext__()
    except StopAsyncIteration:
        return None
    return chunk


async def _discard(chunks: Any, most: int) -> None:
    """Read on and keep nothing, but not for ever."""
    seen = 0
    try:
        async with asyncio.timeout(_PATIENCE_S):
            while seen <= most and (chunk := await _next(chunks)) is not None:
                seen += len(chunk)
    except TimeoutError:
        return


def _broken(error: Exception) -> Refusal:
    return Refusal(400, f"the body did not arrive whole: {error}")

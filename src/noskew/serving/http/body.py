"""Reading request bodies: never more of one than the limit, whatever the headers say."""

from __future__ import annotations

import asyncio
from typing import Any

from granian.rsgi import ProtocolClosed, ProtocolError

from noskew.errors import LimitError
from noskew.serving.http.problem import Refusal

#: A body that is refused is still read up to so many times the limit, and thrown away: a client
#: that is cut off while it sends sees a broken connection instead of the reason.
_PATIENCE = 8
_PATIENCE_S = 5.0


async def read_body(scope: Any, proto: Any, limit: int) -> bytes:
    """The whole body of a request.

    Raises LimitError if it has more than ``limit`` bytes, Refusal (400) if it ends too early.
    """
    headers = scope.headers
    length = headers.get("content-length")
    try:
        if length is None:
            return await _read_stream(proto.__aiter__(), limit)
        if int(length) <= limit:
            body: bytes = await proto()
            return body
        if "expect" not in headers and int(length) <= limit * _PATIENCE:
            await _discard(proto.__aiter__(), limit * _PATIENCE)
    except (ProtocolClosed, ProtocolError) as error:
        raise Refusal(400, f"the body did not arrive whole: {error}") from error
    raise _too_large(limit, f"it says content-length: {length[:40]}")


async def _read_stream(chunks: Any, limit: int) -> bytes:
    """A body of unknown length, chunk by chunk."""
    body = bytearray()
    while (chunk := await _next(chunks)) is not None:
        body += chunk
        if len(body) > limit:
            await _discard(chunks, limit * _PATIENCE)
            raise _too_large(limit, "it was sent in chunks")
    return bytes(body)


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


def _too_large(limit: int, how: str) -> LimitError:
    return LimitError(
        f"the body of this request is too large ({how}); at most {limit} bytes are taken: send "
        f"fewer rows in each request, or raise serve.max_body_bytes in noskew.toml"
    )

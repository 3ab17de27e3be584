"""SharedPoll: waits until pushed events can be read, for all coroutines of an event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from contextlib import suppress

from noskew.errors import StoreError
from noskew.intake.waiting import FIRST_PAUSE_S, LONGER, LONGEST_PAUSE_S, Awaited
from noskew.stores.online.base import OnlineStore
from noskew.wire.pushed import Pushed


class SharedPoll:
    """Waits for any number of pushes with one poll between them. Belongs to one event loop.

    Each look reads the progress rows of everything that is awaited at once, so what it costs
    depends on how many views and partitions there are, and not on how many wait.

    Parameters
    ----------
    online
        Gives the store to look into. It may raise StoreError and be another one each time.
    """

    def __init__(self, online: Callable[[], OnlineStore]) -> None:
        self._online = online
        self._waiters: dict[asyncio.Future[None], Awaited] = {}
        self._poll: asyncio.Task[None] | None = None
        self._hurry = asyncio.Event()
        self._seen: dict[bytes, bytes | None] = {}

    async def until_readable(
        self, views: Mapping[str, bytes], pushed: Pushed, timeout_s: float
    ) -> Pushed:
        """As :func:`noskew.intake.waiting.wait_until_readable`, for a coroutine."""
        awaited = Awaited(views, pushed)
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiters[done] = awaited
        self._hurry.set()
        if self._poll is None or self._poll.done():
            self._poll = asyncio.create_task(self._run())
        try:
            async with asyncio.timeout(timeout_s):
                await done
        except TimeoutError:
            pass
        finally:
            del self._waiters[done]
        return awaited.told(pushed)

    async def close(self) -> None:
        """Look no more. Only when nobody waits."""
        if self._poll is not None:
            self._poll.cancel()
            await asyncio.gather(self._poll, return_exceptions=True)

    async def _run(self) -> None:
        pause = FIRST_PAUSE_S
        while self._waiters:
            changed = await self._note()
            pause = FIRST_PAUSE_S if changed else min(pause * LONGER, LONGEST_PAUSE_S)
            await asyncio.sleep(FIRST_PAUSE_S)  # no look follows sooner, however many come
            with suppress(TimeoutError):
                async with asyncio.timeout(pause - FIRST_PAUSE_S):
                    await self._hurry.wait()
                    pause = FIRST_PAUSE_S
            self._hurry.clear()

    async def _note(self) -> bool:
        """Look once, and let those go on whose events are there; whether anything changed."""
        keys = list({key: None for a in self._waiters.values() for key in a.keys})
        rows: dict[bytes, bytes | None] = {}
        with suppress(StoreError):
            rows = dict(zip(keys, await self._online().read_async(keys), strict=True))
        for done, awaited in self._waiters.items():
            if awaited.note(rows) and not done.done():
                done.set_result(None)
        changed = rows != self._seen
        self._seen = rows
        return changed

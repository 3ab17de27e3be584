"""Threads that wait for answers; a forked child starts its own."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from threading import Lock


class Workers:
    """A pool of at most ``count`` threads, started when it is first needed."""

    def __init__(self, count: int) -> None:
        self.count = count
        self._lock = Lock()
        self._pool: ThreadPoolExecutor | None = None
        self._process = 0

    def pool(self) -> ThreadPoolExecutor:
        """The threads of this process."""
        pool = self._pool
        if pool is not None and self._process == os.getpid():
            return pool
        with self._lock:
            if self._pool is None or self._process != os.getpid():
                # The threads of a parent do not run in its child.
                self._pool = ThreadPoolExecutor(self.count, thread_name_prefix="noskew-dynamodb")
                self._process = os.getpid()
            return self._pool

    def close(self) -> None:
        """Let the threads end once they have nothing to do."""
        with self._lock:
            if self._pool is not None and self._process == os.getpid():
                self._pool.shutdown(wait=False)
            self._pool = None

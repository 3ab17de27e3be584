"""A processor at work beside a test."""

from __future__ import annotations

from threading import Event, Thread

from noskew.streaming.workers.processor import Processor, StreamWatcher


class Running:
    """A processor in a thread of its own."""

    def __init__(self, processor: Processor, watcher: StreamWatcher | None = None) -> None:
        self.processor, self._watcher = processor, watcher
        self._stop = Event()
        self._error: Exception | None = None
        self._thread = Thread(target=self._run)

    def _run(self) -> None:
        try:
            self.processor.run(self._stop, watcher=self._watcher)
        except Exception as error:  # noqa: BLE001 - told where the thread is joined
            self._error = error

    def __enter__(self) -> Processor:
        self._thread.start()
        return self.processor

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(60)
        self.processor.close()
        assert self._error is None, self._error

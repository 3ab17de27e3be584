"""The bytes of a file as UTF-8, whatever it is written in."""

from __future__ import annotations

import codecs
from pathlib import Path
from types import TracebackType
from typing import Any

import pyarrow as pa

from noskew.errors import CorruptDataError, SchemaMismatchError

_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


class Utf8File:
    """A file, unpacked if its name ends in ``.gz`` or the like, as UTF-8 without a mark.

    Without ``encoding`` a byte order mark says what it is, and there is none in UTF-8. Raises
    SchemaMismatchError for bytes that are not of the encoding, CorruptDataError for packed files
    that are damaged, and OSError of the operating system.
    """

    def __init__(self, path: Path, encoding: str | None) -> None:
        self._path = path
        self._file: Any = pa.input_stream(str(path))
        self._begun = self._raw(4)
        marked = next((name for mark, name in _MARKS if self._begun.startswith(mark)), "utf-8")
        self.encoding = codecs.lookup(encoding or marked).name
        self._decoder = None
        if self.encoding not in ("utf-8", "utf-8-sig"):
            self._decoder = codecs.getincrementaldecoder(self.encoding)("strict")
        elif self._begun.startswith(codecs.BOM_UTF8):
            self._begun = self._begun[len(codecs.BOM_UTF8) :]

    def __enter__(self) -> Utf8File:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self._file.close()

    def read(self, size: int) -> bytes:
        """Some bytes, about ``size``; none at the end only."""
        while True:
            block, self._begun = self._begun or self._raw(size), b""
            if self._decoder is None:
                return block
            try:
                text = self._decoder.decode(block, final=not block)
            except UnicodeDecodeError as error:
                raise SchemaMismatchError(
                    f"{self._path} is not in {self.encoding}: {error.reason}; set encoding= to "
                    f"what it is written in, such as 'cp1252'"
                ) from error
            if text or not block:
                return text.encode()

    def _raw(self, size: int) -> bytes:
        try:
            block: bytes = self._file.read(size)
            return block
        except OSError as error:
            if error.errno is not None:
                raise
            raise CorruptDataError(f"{self._path} cannot be unpacked: {error}") from error

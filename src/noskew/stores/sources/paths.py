"""Files on a local disk: which there are, and what they are called in messages."""

from __future__ import annotations

import glob
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from noskew.errors import InputError, StoreUnavailableError
from noskew.stores.sources.base import Part

_MAGIC = frozenset("*?[")


def find_files(path: str, suffixes: tuple[str, ...]) -> list[Path]:
    """The files at a path, sorted: a file, a directory (recursive) or a glob (``**`` allowed).

    In a directory only files with one of ``suffixes`` count. Names that start with ``_`` or
    ``.`` do not, unless given whole, as everywhere in the field. Raises InputError if there are
    none.
    """
    place = Path(path)
    if place.is_file():
        return [place]
    if place.is_dir():
        inside = (found.relative_to(place) for found in place.rglob("*"))
        names = sorted(
            name for name in inside if not _hidden(name) and name.name.endswith(suffixes)
        )
        found = [place / name for name in names]
    elif _MAGIC & set(path):
        matches = glob.glob(path, recursive=True)  # noqa: PTH207 - absolute ones, too
        found = sorted(Path(match) for match in matches if not _hidden(Path(Path(match).name)))
    else:
        raise InputError(f"there is no file or directory {path!r}")
    files = [file for file in found if file.is_file()]
    if not files:
        raise InputError(f"{path!r} has no files; looked for names ending in {', '.join(suffixes)}")
    return files


class FileParts:
    """The files at a path as parts, each known by a digest of its content.

    ``token_of`` and ``rows_of`` look at one file. A file whose content is that of another is a
    copy, and no part. Reading a part looks at its file again, and at others only if it is gone.
    """

    def __init__(
        self,
        path: str,
        suffixes: tuple[str, ...],
        token_of: Callable[[Path], str],
        rows_of: Callable[[Path], int | None],
    ) -> None:
        self._path = path
        self._suffixes = suffixes
        self._token_of = token_of
        self._rows_of = rows_of
        self._found: dict[str, Path] = {}

    def files(self) -> list[Path]:
        """The files there are now."""
        return find_files(self._path, self._suffixes)

    def parts(self) -> list[Part]:
        """The parts there are now."""
        parts, found = [], {}
        root = Path(self._path)
        for path in self.files():
            token = self._token_of(path)
            if token in found:
                continue
            found[token] = path
            below = str(path.relative_to(root)) if path.is_relative_to(root) else str(path)
            below = "" if path == root else below  # it is all of the source
            size = path.stat().st_size
            parts.append(Part(token, str(path), self._rows_of(path), size, below))
        self._found = found
        return parts

    def file(self, part: Part) -> Path:
        """The file of a part. Raises InputError if it is gone or has changed since."""
        path = self._found.get(part.token) or Path(part.label)
        if path.is_file() and self._token_of(path) == part.token:
            return path
        self.parts()
        if part.token not in self._found:
            raise InputError(
                f"{self._path!r} has no file with the content of part {part.label!r} any more; "
                f"list the parts again"
            )
        return self._found[part.token]


@contextmanager
def opening(path: Path) -> Iterator[None]:
    """Map what the operating system says about a file."""
    try:
        yield
    except FileNotFoundError as error:
        raise InputError(f"there is no file {str(path)!r}") from error
    except OSError as error:
        if error.errno is None:  # a decoder's, not the operating system's
            raise
        raise StoreUnavailableError(f"reading {str(path)!r} failed: {error.strerror}") from error


def _hidden(name: Path) -> bool:
    return any(part.startswith(("_", ".")) for part in name.parts)

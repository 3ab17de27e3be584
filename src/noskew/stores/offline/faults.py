"""Foreign exceptions of the offline store, turned into noskew's at its edge."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy.exc import SQLAlchemyError

from noskew.errors import CorruptDataError, NoskewError, StoreFullError, StoreUnavailableError

_FULL_ERRNOS = (errno.ENOSPC, errno.EDQUOT)
#: How engines without an error number for it say that there is no space left.
_FULL_TEXTS = ("no space left", "disk is full", "disk full", "could not extend file")


@contextmanager
def faults(doing: str) -> Iterator[None]:
    """Map what the catalog's database and the file system raise while ``doing`` something.

    Only for our own work: a caller's iterator must be advanced outside of it, or the
    caller's errors would be blamed on the store.
    """
    try:
        yield
    except NoskewError:
        raise
    except (OSError, SQLAlchemyError) as error:
        raise _mapped(error, doing) from error


@contextmanager
def reading(path: str) -> Iterator[None]:
    """Map what reading one immutable file raises: anything undecodable is a damaged file."""
    try:
        yield
    except NoskewError:
        raise
    except FileNotFoundError as error:
        raise CorruptDataError(f"the file {path} is gone, though a snapshot names it") from error
    except OSError as error:
        # Parquet's decoder reports damage as an OSError without a number.
        if error.errno is None and "AWS" not in str(error):
            raise _damaged(path, error) from error
        raise _mapped(error, f"reading {path}") from error
    except MemoryError:
        raise
    except Exception as error:
        # The Avro, JSON and Parquet decoders raise whatever the damaged bytes lead them to.
        raise _damaged(path, error) from error


def _damaged(path: str, error: Exception) -> CorruptDataError:
    return CorruptDataError(
        f"the file {path} is damaged ({_first_line(error)}); restore it from a copy, or rebuild "
        f"the table from its sources"
    )


def _mapped(error: OSError | SQLAlchemyError, doing: str) -> NoskewError:
    number = error.errno if isinstance(error, OSError) else None
    text = _first_line(error)
    if number in _FULL_ERRNOS or any(words in text.lower() for words in _FULL_TEXTS):
        return StoreFullError(
            f"no space left while {doing}; what was committed is kept: free space and repeat"
        )
    return StoreUnavailableError(f"{doing} failed: {text}")


def _first_line(error: BaseException) -> str:
    # SQLAlchemy appends the statement and its parameters; the driver's own words are enough.
    origin = getattr(error, "orig", None) or error
    return next(iter(str(origin).strip().splitlines()), type(origin).__name__)[:300]

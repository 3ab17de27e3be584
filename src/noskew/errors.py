"""Every error noskew raises, in one tree.

NoskewError
├── DefinitionError (ValueError)          a definition that cannot mean anything
│   ├── TransformError                    a transform that is refused, or that failed on a batch
│   └── InvalidNameError                  a name that is not an identifier
├── NotFoundError (LookupError)           a name nobody registered
├── InputError (ValueError)               what a caller passed to a read or a write
│   ├── ChangedRowsError                  rows of a source that were there are there no more
│   ├── SchemaMismatchError               columns or types are not the declared ones
│   ├── KeyTypeError                      a join key that is missing or of the wrong type
│   └── LimitError                        too many rows, too large a body
├── ConfigError (ValueError)              noskew.toml, an address, an option
├── MissingExtraError (ImportError)       an optional library is not installed
├── RunnerError                           what work is distributed by did not start, or failed
├── ConflictError                         somebody else changed it first; look again and repeat
│   └── NoteMismatchError                 a table's note is not what was expected: others moved on
├── RegistryError
│   └── CertificateError                  a definition without proof
└── StoreError
    ├── NotMaterializedError              a view whose rows are not online yet
    ├── StoreUnavailableError             down, unreachable, timed out: a retry can help
    ├── StoreFullError                    no space left; nothing was lost, a retry can help after
    ├── CorruptDataError                  bytes that are not what we wrote
    ├── FencedError                       another worker took this one's place
    │   └── RebuiltError                  rows were made anew under a stream
    ├── OffsetLostError                   a log no longer holds, or never held, an offset
    └── StoreConfigError                  the store is set up so that it would lose data

``error.retryable`` says whether the same call may succeed later without a change by the
caller. HTTP status codes come from :data:`HTTP_STATUS`, a table over this tree. Warnings are
:class:`NoskewWarning`, which a filter of :mod:`warnings` can silence or turn into errors.
"""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


class NoskewError(Exception):
    """The root of every error raised on purpose by noskew."""

    retryable = False


class DefinitionError(NoskewError, ValueError):
    """A definition is refused: the message names the object, what was expected, what came."""


class InvalidNameError(DefinitionError):
    """A name that is not ``[A-Za-z_][A-Za-z0-9_]*`` of at most 128 characters."""


class TransformError(DefinitionError):
    """A transform is refused at definition time, or failed while it ran on a batch."""


class NotFoundError(NoskewError, LookupError):
    """A name that is not registered; the message lists the nearest ones that are."""


class InputError(NoskewError, ValueError):
    """What the caller passed to a read or a write cannot be used."""


class ChangedRowsError(InputError):
    """Rows of a source that were ingested are not there any more; nothing was added."""


class SchemaMismatchError(InputError):
    """Columns are absent, duplicated or of another type than declared."""


class KeyTypeError(InputError):
    """A join key is absent or of the wrong type."""


class LimitError(InputError):
    """A request exceeds a declared limit (rows, bytes)."""


class ConfigError(NoskewError, ValueError):
    """The configuration or an option is wrong; the message names the key."""


class MissingExtraError(NoskewError, ImportError):
    """An optional library is not installed; the message names the extra to install."""


class RunnerError(NoskewError):
    """Spark did not start, or failed for a reason of its own. What was acknowledged is kept."""


class ConflictError(NoskewError):
    """Somebody else changed a registry, a table or a source's rows meanwhile; nothing was done."""

    retryable = True


class NoteMismatchError(ConflictError):
    """A table's note has another text than was expected: somebody else moved on; nothing was added.

    Attributes
    ----------
    note, found, expected
        The note's name, its text and the expected one. None: there is no such note.
    """

    retryable = False

    def __init__(self, message: str, *, note: str, found: str | None, expected: str | None) -> None:
        super().__init__(message)
        self.note, self.found, self.expected = note, found, expected


class RegistryError(NoskewError):
    """The registry refused or could not do what was asked."""


class CertificateError(RegistryError):
    """A definition lacks the certificate that it needs."""


class StoreError(NoskewError):
    """A store failed. What was acknowledged before is kept."""


class NotMaterializedError(StoreError):
    """The online store does not hold a view yet; the message says which command fills it."""


class StoreUnavailableError(StoreError):
    """The store is down, unreachable or too slow. A retry can help."""

    retryable = True


class StoreFullError(StoreError):
    """The store has no space left. What was acknowledged is kept; free space and repeat."""

    retryable = True


class CorruptDataError(StoreError):
    """Stored bytes are not what noskew writes: truncated, foreign or damaged."""


class FencedError(StoreError):
    """Somebody else took over what this worker was working on; nothing was changed."""


class RebuiltError(FencedError):
    """Rows were made anew while a stream ran that folded those before; start it again."""


class OffsetLostError(StoreError):
    """A log was asked to go on at an offset that it does not hold.

    Attributes
    ----------
    partition, offset
        What was asked for.
    begin, end
        The offsets that the partition holds: ``begin`` is the first, ``end`` the next to come.
    """

    def __init__(self, message: str, *, partition: int, offset: int, begin: int, end: int) -> None:
        super().__init__(message)
        self.partition, self.offset, self.begin, self.end = partition, offset, begin, end


class StoreConfigError(StoreError, ValueError):
    """The store is configured so that rows could be lost (for example an evicting Redis)."""


class NoskewWarning(UserWarning):
    """Something that is allowed and probably not meant; the message says what to do about it."""


class HindsightWarning(NoskewWarning):
    """``known_at="row"`` asks for times before a source without ``created`` was loaded."""


#: Most specific first: the first class that matches an error gives its HTTP status.
HTTP_STATUS: tuple[tuple[type[NoskewError], int], ...] = (
    (NotFoundError, 404),
    (LimitError, 413),
    (InputError, 422),
    (ConflictError, 409),
    (NotMaterializedError, 503),
    (StoreUnavailableError, 503),
    (StoreFullError, 503),
    (NoskewError, 500),
)


def http_status(error: NoskewError) -> int:
    """The HTTP status for an error, from :data:`HTTP_STATUS`."""
    return next(status for kind, status in HTTP_STATUS if isinstance(error, kind))


def nearest(name: object, known: Iterable[str], *, most: int = 12) -> str:
    """A sentence that helps after a wrong name: the valid ones, and the nearest of them."""
    names = sorted(known)
    if not names:
        return "there are none yet"
    shown = ", ".join(names[:most]) + (f", … ({len(names)} in all)" if len(names) > most else "")
    close = get_close_matches(str(name), names, n=1)
    return f"valid names: {shown}" + (f". Did you mean {close[0]!r}?" if close else "")


def shown(name: object) -> str:
    """A caller's name for a message: quoted, and never longer than a line."""
    text = repr(name)
    return text if len(text) <= 80 else text[:79] + "…"


def unknown(kind: str, name: object, known: Iterable[str], *, where: str = "") -> NotFoundError:
    """The error for a name that is not there."""
    place = f" in {where}" if where else ""
    return NotFoundError(f"no {kind} {name!r}{place}; {nearest(name, known)}")


def missing_extra(library: str, extra: str, purpose: str) -> MissingExtraError:
    """The error for an optional library that is not installed."""
    return MissingExtraError(
        f"{purpose} needs {library}, which is not installed; run: pip install 'noskew[{extra}]'"
    )

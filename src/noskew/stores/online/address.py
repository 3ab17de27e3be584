"""The address of an online store, taken apart, as its opener is given it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import parse_qsl, unquote, urlsplit

from noskew.errors import ConfigError, nearest


@dataclass(frozen=True, slots=True)
class StoreAddress:
    """``scheme://place?option=value&…``; its text leaves out what may be a password.

    Attributes
    ----------
    url
        The address without its options.
    options
        What follows ``?``, by name.
    readonly
        Whoever opens it only reads. A store that can be opened so is.
    """

    url: str = field(repr=False)
    options: Mapping[str, str] = field(default_factory=dict, repr=False)
    readonly: bool = False

    @classmethod
    def of(cls, url: str, *, readonly: bool = False) -> StoreAddress:
        """Take an address apart. Raises ConfigError if it repeats an option."""
        place, _, query = url.partition("?")
        pairs = parse_qsl(query, keep_blank_values=True)
        options = dict(pairs)
        if len(options) != len(pairs):
            raise ConfigError("the address repeats an option")
        return cls(place, options, readonly)

    @property
    def scheme(self) -> str:
        """What stands before ``://``, in small letters."""
        return urlsplit(self.url).scheme

    @property
    def place(self) -> str:
        """What follows ``scheme://``, with ``%xx`` decoded."""
        parts = urlsplit(self.url)
        return unquote(parts.netloc + parts.path)

    def only(self, *known: str) -> StoreAddress:
        """The same address. Raises ConfigError if it has an option of another name."""
        for name in self.options:
            if name not in known:
                raise ConfigError(f"the address has an option {name!r}; {nearest(name, known)}")
        return self

    def flag(self, name: str, default: bool) -> bool:
        """An option that is ``true`` or ``false``."""
        text = self.options.get(name, "true" if default else "false")
        if text not in ("true", "false"):
            raise ConfigError(f"{name} is 'true' or 'false', got {text!r}")
        return text == "true"

    def whole(self, name: str, default: int, unit: str) -> int:
        """An option that is a whole number of a unit, zero or more."""
        text = self.options.get(name, str(default))
        if not text.isdecimal():
            raise ConfigError(f"{name} is a number of {unit}, got {text!r}")
        return int(text)

    def seconds(self, name: str, default: float) -> float:
        """An option that is a positive number of seconds."""
        text = self.options.get(name, str(default))
        try:
            seconds = float(text)
        except ValueError as error:
            raise ConfigError(f"{name} is a number of seconds, got {text!r}") from error
        if not 0 < seconds < float("inf"):
            raise ConfigError(f"{name} is a positive number of seconds, got {text!r}")
        return seconds

"""Secrets in addresses and settings, left out of whatever is shown."""

from __future__ import annotations

import re
from collections.abc import Mapping

HIDDEN = "***"
#: User and password of an address. Greedy up to the last ``@``, since a password may hold one,
#: and nobody notices that theirs should have been escaped.
_CREDENTIALS = re.compile(r"(?<=://)[^/?#]*:.*@", re.DOTALL)
#: Names of options whose values are secret.
_SECRET = re.compile(r"pass|secret|token|key|credential|signature|sas|auth", re.IGNORECASE)
_OPTION = re.compile(r"(?<=[?&;])([^=&;]+)=([^&;]*)")


def masked(text: str) -> str:
    """An address without its credentials and the values of secret options.

    >>> masked("postgresql://me:1234@host/db?sslpassword=x&sslmode=require")
    'postgresql://***@host/db?sslpassword=***&sslmode=require'
    """
    shown = _CREDENTIALS.sub(f"{HIDDEN}@", text)
    return _OPTION.sub(lambda m: f"{m[1]}={HIDDEN if _SECRET.search(m[1]) else m[2]}", shown)


def masked_settings(settings: Mapping[str, object]) -> dict[str, str]:
    """Settings as text: those of secret names are hidden, addresses among the others masked."""
    return {
        name: HIDDEN if _SECRET.search(name) else masked(str(value))
        for name, value in settings.items()
    }

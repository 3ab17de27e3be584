"""A certificate in a few words."""

from __future__ import annotations

from rich.text import Text

from noskew.registry.records.certificate import Certificate


def certified(held: Certificate | None, exempt: str | None) -> Text:
    """What is known of a definition; ``exempt``: who applied it without a certificate."""
    if held is not None and held.is_equal:
        return Text("certified" if held.is_thorough else "certified, short form", "green")
    if exempt is not None:
        return Text(f"uncertified, by {exempt}", "yellow")
    return Text("none" if held is None else "values differ", "dim" if held is None else "red")


def certificate_sign(held: Certificate | None) -> Text:
    """The same as a sign, for lists."""
    if held is None:
        return Text("–", "dim")
    return Text("✓", "green") if held.is_equal else Text("✗", "red")

"""A certificate in a few words."""

from __future__ import annotations

from rich.text import Text

from noskew.registry.records.certificate import Certificate


def certified(certificate: Certificate | None, exempt: str | None) -> Text:
    """What is known of a definition; ``exempt``: who applied it without a certificate."""
    if certificate is not None and certificate.is_equal:
        return Text("certified" if certificate.is_thorough else "certified, short form", "green")
    if exempt is not None:
        return Text(f"uncertified, by {exempt}", "yellow")
    return Text(
        "none" if certificate is None else "values differ", "dim" if certificate is None else "red"
    )


def certificate_sign(certificate: Certificate | None) -> Text:
    """The same as a sign, for lists."""
    if certificate is None:
        return Text("–", "dim")
    return Text("✓", "green") if certificate.is_equal else Text("✗", "red")

"""What a request says of itself in its head: method, media types, where it comes from."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from noskew.errors import shown
from noskew.serving.http.problem import Refusal
from noskew.wire.media_types import ARROW, JSON


def expect_method(method: str, taken: str | None) -> None:
    """Raise Refusal (405) for another method than the one that a route takes; None: any."""
    if taken is None or method == taken or (method == "HEAD" and taken == "GET"):
        return
    allowed = "GET, HEAD" if taken == "GET" else taken
    raise Refusal(
        405,
        f"this route takes {allowed}, not {shown(method)}",
        valid=allowed.split(", "),
        headers=[("allow", allowed)],
    )


def body_kind(headers: Any, accepted: tuple[str, ...]) -> str:
    """The media type of a body; the first of the accepted ones if it says none.

    Raises Refusal (415) for other media types, and for an encoded body.
    """
    kind = headers.get("content-type")
    encoding = headers.get("content-encoding")
    if encoding is not None and encoding.lower() != "identity":
        raise Refusal(415, f"a body encoded as {shown(encoding)} is not taken; send it plain")
    if kind is None or kind in accepted:
        return kind or accepted[0]
    bare = kind.partition(";")[0].strip().lower()
    if bare in accepted:
        return str(bare)
    raise Refusal(415, f"a body of the media type {shown(kind)} is not taken", valid=list(accepted))


def wants_arrow(accept: str) -> bool:
    """Whether the answer is to be Arrow. Raises Refusal (406) for neither Arrow nor JSON."""
    if accept in ("*/*", JSON):
        return False
    offered = [part.partition(";")[0].strip().lower() for part in accept.split(",")]
    for kind in offered:
        if kind == ARROW:
            return True
        if kind in (JSON, "*/*", "application/*"):
            return False
    raise Refusal(406, f"no answer of {shown(accept)} can be given", valid=[JSON, ARROW])


def refuse_other_sites(headers: Any) -> None:
    """Raise Refusal (403) for what a browser sends on behalf of a page from elsewhere.

    A page anywhere can have its reader's browser write to a server that only that machine
    reaches; it cannot read the answer, but what is written is written. Browsers say so.
    """
    site, origin = headers.get("sec-fetch-site"), headers.get("origin")
    if site is not None:
        own = site in ("same-origin", "none")
    else:
        own = origin is None or urlsplit(origin).netloc == headers.get("host")
    if not own:
        raise Refusal(403, f"a page of {shown(origin)} may not write here")

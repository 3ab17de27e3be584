"""The media types of bodies."""

from __future__ import annotations

from typing import Final

JSON: Final = "application/json"
ARROW: Final = "application/vnd.apache.arrow.stream"
#: Feast's own examples send no media type, which curl turns into that of a form.
FORM: Final = "application/x-www-form-urlencoded"

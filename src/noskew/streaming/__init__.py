"""Streams: from the log of a source to rows online, and to the archive."""

from __future__ import annotations

import logging

# Who uses the library decides where its logs go; without a word of theirs, nowhere.
logging.getLogger(__name__).addHandler(logging.NullHandler())

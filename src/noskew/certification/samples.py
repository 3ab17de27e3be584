"""How much of a source certification looks at."""

from __future__ import annotations

#: Rows of a source's own data that a view is run on.
SAMPLE_ROWS = 2_000

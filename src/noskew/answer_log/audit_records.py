"""What audits count, as servers tell it."""

from __future__ import annotations

#: What is counted for each feature: the fields of :class:`.SkewCounts`, and what each is of.
COUNTS = {
    "compared": "Served values that were computed again.",
    "equal": "Those that were what the facts known by then say.",
    "behind": "Those that were what the facts folded by then say, of which some were missing yet.",
    "different": "Those that were neither: skew.",
    "undecided": "Served values of which nothing could be said.",
    "waiting": "Served values whose facts are not in the offline store yet.",
}

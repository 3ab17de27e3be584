"""What audits write to the registry for servers to tell: the names that both sides use."""

from __future__ import annotations

#: The kind of the registry's records; their keys are names of services.
KIND = "skew_audit"
#: What is counted for each feature, and what it is of.
COUNTS = {
    "compared": "Served values that were computed again.",
    "equal": "Those that were what the facts known by then say.",
    "behind": "Those that were what the facts folded by then say, of which some were missing yet.",
    "different": "Those that were neither: skew.",
    "undecided": "Served values of which nothing could be said.",
    "waiting": "Served values whose facts are not in the offline store yet.",
}

"""How hard Hypothesis looks, chosen once for the whole run by ``tests/conftest.py``."""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

#: The variable that names a profile; ``make test PROFILE=nightly`` sets it.
VARIABLE = "HYPOTHESIS_PROFILE"
#: The variable with the examples a property of the profile ``random``.
EXAMPLES = "HYPOTHESIS_EXAMPLES"

# Machines differ and the first call of a kernel compiles it, so no example has a deadline:
# a hang is caught by the timeout of the test. The fixtures that examples share are servers,
# started once on purpose; a test that needs a clean store per example clears it itself.
_COMMON = settings(
    deadline=None,
    print_blob=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


def register() -> None:
    """Register the profiles: quick and ci (fixed examples), random and nightly (new ones)."""
    # Not random: a change turns red for its own fault, never for another one's luck. Finding
    # something new is the work of the other two.
    fixed = settings(_COMMON, derandomize=True, database=None)
    settings.register_profile("quick", fixed, max_examples=50)
    settings.register_profile("ci", fixed, max_examples=100)
    # No database: a seed alone says what a run looks at.
    examples = int(os.environ.get(EXAMPLES) or 300)
    settings.register_profile("random", _COMMON, max_examples=examples, database=None)
    settings.register_profile("nightly", _COMMON, max_examples=5_000)


def load() -> str:
    """Load the profile named by the environment, else ci under CI, else quick; return its name.

    Raises hypothesis.errors.InvalidArgument for a name that is not registered.
    """
    register()
    name = os.environ.get(VARIABLE) or ("ci" if os.environ.get("CI") else "quick")
    settings.load_profile(name)
    return name

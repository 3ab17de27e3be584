"""The tests every runner passes, for ours and for yours.

Derive a class, give it a runner, and run it with pytest::

    class TestMyRunner(RunnerTests):
        @pytest.fixture
        def runner(self):
            with MyRunner() as runner:
                yield runner

Tasks are found by their names: where they run, noskew must be importable.
"""

from __future__ import annotations

from noskew.testing.runner.suite import RunnerTests

__all__ = ["RunnerTests"]

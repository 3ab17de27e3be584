"""The tests every registry passes, for ours and for yours.

Derive a class, give it a registry and a way around it, and run it with pytest::

    class TestMyRegistry(RegistryTests):
        @pytest.fixture
        def registry(self, tmp_path):
            with MyRegistry(tmp_path) as registry:
                yield registry

        def opener(self, registry): return functools.partial(MyRegistry, registry.path)
        def write_raw_record(self, registry, project, kind, key, document): ...
        def read_raw_record(self, registry, project, kind, key): ...
        def damage_versions(self, registry, project, old, new): ...

The last three bypass the registry, so that reading and writing are each tested on their own.
"""

from __future__ import annotations

from noskew.testing.registry.processes import ProcessTests
from noskew.testing.registry.records import RecordTests
from noskew.testing.registry.sharing import SharingTests
from noskew.testing.registry.training_sets import TrainingSetTests
from noskew.testing.registry.versions import VersionTests

__all__ = ["RegistryTests"]


class RegistryTests(VersionTests, TrainingSetTests, RecordTests, SharingTests, ProcessTests):
    """What :class:`noskew.registry.base.Registry` promises, as tests."""

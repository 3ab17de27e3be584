"""What a process has imported from which those of tests are forked (``noskew.testing.processes``).

It has opened nothing, and no thread of it runs but those that libraries keep for later. A kernel
was called once: numba loads much with the first.
"""

from __future__ import annotations

from importlib import import_module

import numpy as np

from noskew.kernel.hashing import hash_words

for name in (
    "noskew.feature_store",
    "noskew.project_stores.factories",
    "noskew.streaming.fold.event_pipeline",
    "noskew.streaming.streams",
    "noskew.testing.event_log",
    "noskew.testing.online_store",
    "noskew.testing.registry",
    "tests.offline.crashing_work",
    "tests.streaming.dying",
):
    import_module(name)
hash_words(np.zeros(1, np.uint64))

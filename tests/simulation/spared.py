"""Situations that streams do not withstand yet: runs keep clear of them.

Each has a test in ``test_found.py`` that is expected to fail. Who makes it pass removes the line
here, and the runs go there, too.
"""

from __future__ import annotations

#: Rows are made anew before the table of a view is there: ids stay remembered, and the events
#: that are read again are taken for repetitions of themselves.
REBUILD_WITHOUT_TABLE = "rebuild without a table"
#: Another log takes the place of one whose last events were online and not archived: their rows
#: have later versions than those that are made anew, and stay.
REMOTE_OUTLIVES_LOG = "a remote store outlives the log"
#: No space for what the archive remembers of a commit: the next commit takes repetitions for new.
ARCHIVE_STATE_FULL = "the archive's state is full"
#: The archive opens a partition of a new log with the ids it had when it opened the old one.
IDS_OF_ANOTHER_LOG = "ids of another log"
#: Rows are verified as those of a generation that a state does not have yet.
VERIFY_OLDER_GENERATION = "verify an older generation"

SPARED = {
    REBUILD_WITHOUT_TABLE,
    REMOTE_OUTLIVES_LOG,
    ARCHIVE_STATE_FULL,
    IDS_OF_ANOTHER_LOG,
    VERIFY_OLDER_GENERATION,
}

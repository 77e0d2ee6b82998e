"""Where the tests keep their files: in memory where there is room.

A test's database is some 300 small files. On ext4 to make them soon after others were deleted took a third of
all computing time of a run: its allocator looks for an inode that was not deleted lately.
"""

import os
import tempfile

import psutil

IN_MEMORY = "/dev/shm"  # noqa: S108 - as sticky as /tmp is
NEEDED = 6 * 2**30  # bytes: servers, a database for each test in progress, and what failed tests leave


def choose() -> None:
    """Have `tempfile`, and every process started from here, use memory; nothing where TMPDIR is set."""
    if "TMPDIR" not in os.environ and _suits():
        os.environ["TMPDIR"], tempfile.tempdir = IN_MEMORY, None


def _suits() -> bool:
    """Whether scripts may run there, and no more than half of the memory that is available is needed."""
    if not os.access(IN_MEMORY, os.W_OK) or os.statvfs(IN_MEMORY).f_flag & os.ST_NOEXEC:
        return False
    return min(psutil.disk_usage(IN_MEMORY).free, psutil.virtual_memory().available // 2) >= NEEDED

"""For root: folders in which another user decides where a path leads.

Root that writes, reads or deletes by path in such a folder does so wherever that user's links lead. The
rule is that of sshd's StrictModes (sshd_config(5)), with the exception that /tmp needs.
"""

import os
import stat
from contextlib import suppress
from pathlib import Path

from outboxctl.domain.errors import UsageError


def refuse_foreign(folder: Path) -> Path:
    """Return the folder, for root free of links. UsageError where root would be led by another user."""
    if os.geteuid() != 0:
        return folder
    resolved = folder.resolve()
    for each in (resolved, *resolved.parents):
        with suppress(FileNotFoundError, NotADirectoryError):
            if _open_to_others(each.lstat()):
                raise UsageError(
                    f"root does not work in {folder}: another user can change {each}",
                    hint="run it as that user, or name a folder of root's in OUTBOXCTL_STATE, OUTBOXCTL_CACHE"
                    " or TMPDIR",
                )
    return resolved


def _open_to_others(found: os.stat_result) -> bool:
    """Whether another user may replace what is in it; in a sticky folder only what is that user's own."""
    shared = found.st_mode & stat.S_IWOTH or (found.st_mode & stat.S_IWGRP and found.st_gid != 0)
    return found.st_uid != 0 or bool(shared and not found.st_mode & stat.S_ISVTX)

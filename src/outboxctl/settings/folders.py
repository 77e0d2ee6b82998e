"""Where files of this user lie: state that outlives a command, and caches."""

import os
import stat
from contextlib import suppress
from pathlib import Path

import platformdirs

from outboxctl.domain.errors import UsageError


def state_folder(state: Path | None = None) -> Path:
    """Return the argument, else `OUTBOXCTL_STATE`, else the platform's folder for state.

    UsageError for root where another user can change it: what is recorded there is ended and deleted.
    """
    folder = state or os.environ.get("OUTBOXCTL_STATE")
    return refuse_foreign(Path(folder).resolve() if folder else platformdirs.user_state_path("outboxctl"))


def cache_folder() -> Path:
    """Return `OUTBOXCTL_CACHE`, else the platform's folder for caches."""
    value = os.environ.get("OUTBOXCTL_CACHE")
    return Path(value).resolve() if value else platformdirs.user_cache_path("outboxctl")


def refuse_foreign(folder: Path) -> Path:
    """Return the folder; for root resolved, or UsageError where another user decides where the path leads.

    Root that writes, reads or deletes by path in such a folder does so wherever that user's links lead. The
    rule is that of sshd's StrictModes (sshd_config(5)), with the exception that /tmp needs.
    """
    if os.geteuid() != 0:
        return folder
    resolved = folder.resolve()
    for each in (resolved, *resolved.parents):
        with suppress(FileNotFoundError, NotADirectoryError):
            if _others_can_change(each.lstat()):
                raise UsageError(
                    f"root does not work in {folder}: another user can change {each}",
                    hint="run it as that user, or name a folder of root's in OUTBOXCTL_STATE, OUTBOXCTL_CACHE"
                    " or TMPDIR",
                )
    return resolved


def _others_can_change(status: os.stat_result) -> bool:
    """Whether another user may replace what is in it; in a sticky folder only what is that user's own."""
    shared = status.st_mode & stat.S_IWOTH or (status.st_mode & stat.S_IWGRP and status.st_gid != 0)
    return status.st_uid != 0 or bool(shared and not status.st_mode & stat.S_ISVTX)

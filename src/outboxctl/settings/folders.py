"""What another user may have written: files of this user's state and caches, and `.env`."""

import grp
import os
import pwd
import stat
import sys
from contextlib import suppress
from functools import cache
from pathlib import Path

import platformdirs

from outboxctl.domain.errors import UsageError

DOTENV = ".env"


def state_folder(state: Path | None = None) -> Path:
    """The argument, else `OUTBOXCTL_STATE`, else the platform's. UsageError for root if others may write."""
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
            status = each.lstat()
            # In a sticky folder others replace only what is their own.
            if status.st_uid != 0 or (_writable(status) and not status.st_mode & stat.S_ISVTX):
                raise UsageError(
                    f"root does not work in {folder}: another user can change {each}",
                    hint="run it as that user, or name a folder of root's in OUTBOXCTL_STATE, OUTBOXCTL_CACHE"
                    " or TMPDIR",
                )
    return resolved


def dotenv_usable() -> bool:
    """Whether `.env` and its folder are such that this user or root alone may write; else stderr says so."""
    folder = Path.cwd()
    with suppress(FileNotFoundError):
        status = (folder / DOTENV).lstat()
        if stat.S_ISREG(status.st_mode) and _own(status) and _own(folder.stat()):
            return True
        _say(folder)
    return False


@cache
def _say(folder: Path) -> None:
    rule = "it is read where it and its folder are yours or root's, and nobody else may write them"
    sys.stderr.write(f"outboxctl: {folder / DOTENV} is ignored: {rule}\n")


def _own(status: os.stat_result) -> bool:
    return status.st_uid in {0, os.geteuid()} and not _writable(status)


def _writable(status: os.stat_result) -> bool:
    """Whether others than its owner may write."""
    by_group = status.st_mode & stat.S_IWGRP and not _private(status.st_gid)
    return bool(status.st_mode & stat.S_IWOTH or by_group)


def _private(gid: int) -> bool:
    """Whether a group is this user's own, as many systems make one for each user, or root's."""
    with suppress(KeyError):
        user, group = pwd.getpwuid(os.geteuid()), grp.getgrgid(gid)
        return gid == user.pw_gid and group.gr_name == user.pw_name and not {*group.gr_mem} - {user.pw_name}
    return False

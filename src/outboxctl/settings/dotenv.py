"""`.env` of the working directory: read only where nobody else can have written it."""

import grp
import os
import pwd
import stat
import sys
from contextlib import suppress
from functools import cache
from pathlib import Path

NAME = ".env"


def usable() -> bool:
    """Whether there is one, a regular file of this user's or of root's that nobody else may write.

    The same must be true of its folder. Another one is ignored, and a line on stderr says so, once.
    """
    folder = Path.cwd()
    with suppress(FileNotFoundError):
        status = (folder / NAME).lstat()
        if stat.S_ISREG(status.st_mode) and _unshared(status) and _unshared(folder.stat()):
            return True
        _say(folder)
    return False


@cache
def _say(folder: Path) -> None:
    rule = "it is read where it and its folder are yours or root's, and nobody else may write them"
    sys.stderr.write(f"outboxctl: {folder / NAME} is ignored: {rule}\n")


def _unshared(status: os.stat_result) -> bool:
    shared = status.st_mode & stat.S_IWOTH or (status.st_mode & stat.S_IWGRP and not _private(status.st_gid))
    return status.st_uid in {0, os.geteuid()} and not shared


def _private(gid: int) -> bool:
    """Whether a group is this user's own, as many systems make one for each user, or root's."""
    with suppress(KeyError):
        user, group = pwd.getpwuid(os.geteuid()), grp.getgrgid(gid)
        return gid == user.pw_gid and group.gr_name == user.pw_name and not {*group.gr_mem} - {user.pw_name}
    return False

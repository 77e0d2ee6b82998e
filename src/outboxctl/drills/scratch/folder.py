"""A folder for one run, cleared of processes and files at its end, or by the next run."""

import os
import shutil
import signal
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import psutil
from filelock import FileLock

from outboxctl.domain.errors import OutboxctlError, UsageError
from outboxctl.drills import services
from outboxctl.drills.scratch.worker import RUN
from outboxctl.drills.services import process
from outboxctl.drills.services.model import Say, silent
from outboxctl.drills.signals import SignalReceived, handling, raising

LOCK = "run.lock"
PATIENCE_SECONDS = 5.0


@dataclass
class ScratchFolder:
    """The folder of services, worker and log; `signals`: the number of the one that came."""

    path: Path
    succeeded: bool = False
    signals: list[int] = field(default_factory=list)

    @property
    def log(self) -> Path:
        """The worker's log; it outlives the folder's other contents where the run failed."""
        return self.path / "worker-w1.log"


@contextmanager
def own_folder(kind: str, say: Say = silent) -> Iterator[ScratchFolder]:
    """A fresh folder for a run of this kind (`demo`): under `OUTBOXCTL_STATE`, else among temporary files.

    At the end of the block, by a signal or a closed terminal too, all that runs in the folder is ended.
    SignalReceived as of `raising`. UsageError where no folder can be made.
    """
    folder = _new(_parent(), kind)
    with _lock(folder.path), raising() as folder.signals:
        try:
            sweep(kind, say)
            yield folder
        except BaseException as error:
            broken = isinstance(error, Exception)
            folder.succeeded = not broken or bool(folder.signals)
            if broken and folder.signals:  # by the signal
                raise SignalReceived(folder.signals[0]) from None
            raise
        finally:
            with handling(signal.SIG_IGN):
                _finish(folder, say)


def _parent() -> Path:
    return Path(os.environ.get("OUTBOXCTL_STATE") or tempfile.gettempdir()).resolve()


def _new(parent: Path, kind: str) -> ScratchFolder:
    try:
        parent.mkdir(parents=True, exist_ok=True)
        path = Path(tempfile.mkdtemp(prefix=f"outboxctl-{kind}-", dir=parent))
    except OSError as error:
        raise UsageError(f"cannot write to {parent}: {error.strerror}", hint="see OUTBOXCTL_STATE") from None
    path.chmod(0o711)  # root's PostgreSQL runs as another user, who must pass through
    return ScratchFolder(path)


def _finish(folder: ScratchFolder, say: Say) -> None:
    _end_workers(folder.path)
    services.down(folder.path, purge=True, say=say)
    if folder.log.exists() and not folder.succeeded:
        (folder.path / LOCK).unlink()  # no sweep removes it
    else:
        shutil.rmtree(folder.path, ignore_errors=True)


def sweep(kind: str, say: Say = silent) -> None:
    """Clean up after runs of this kind that were killed: the kernel has released their locks."""
    for path in _parent().glob(f"outboxctl-{kind}-*/{LOCK}"):
        with suppress(OSError):
            # In a folder of another user's the lock may be a link to a file of this one.
            if path.parent.lstat().st_uid == os.geteuid():
                with FileLock(path, blocking=False):
                    _sweep_one(path.parent, say)


def _sweep_one(folder: Path, say: Say) -> None:
    say(f"clearing up after a run that was ended: {folder.name}")
    try:
        _finish(ScratchFolder(folder, succeeded=True), say)
    except OutboxctlError as error:  # which does not keep this run from starting
        say(f"cannot clean up {folder}: {error}; {error.hint}")


@contextmanager
def _lock(folder: Path) -> Iterator[None]:
    """Hold the folder's lock. The file is renamed once it is locked, so that no sweep finds it free."""
    part = folder / f"{LOCK}.part"
    with FileLock(part):
        part.rename(folder / LOCK)
        yield


def _end_workers(folder: Path) -> None:
    """End the workers and their children, but not a user's shell in the folder."""
    for each in psutil.process_iter():
        with suppress(psutil.Error):
            if each.pid != os.getpid() and each.environ().get(RUN) == str(folder):
                # At once: its data is deleted, and a paused process handles no other signal.
                process.end(each, signal.SIGKILL, patience=PATIENCE_SECONDS)

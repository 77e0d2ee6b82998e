"""A folder of its own for one run, emptied of processes and files at its end, or by the next run."""

import fcntl
import os
import shutil
import signal
import stat
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from time import monotonic

import psutil

from outboxctl.domain.errors import OutboxctlError, UsageError
from outboxctl.drills import services
from outboxctl.drills.scratch.worker import RUN
from outboxctl.drills.services import process
from outboxctl.drills.services.model import Say, silent

LOCK = "run.lock"
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
PATIENCE_SECONDS = 5.0
# One ^C may come twice: from the terminal, and from a parent that passes on what it got (`timeout`, CI).
ECHO_SECONDS = 0.5


@dataclass
class ScratchFolder:
    """Where the services, the worker and its log are. `keep`: leave the services running at the end."""

    path: Path
    keep: bool = False
    succeeded: bool = False
    interrupted: int = 0  # the signal's number
    interrupted_at: float = 0.0

    def interrupt(self, number: int, now: float) -> bool:
        """Take note of a signal at `now` (monotonic); False for the echo of the first one."""
        if self.interrupted and now - self.interrupted_at < ECHO_SECONDS:
            return False
        if not self.interrupted:
            self.interrupted_at = now
        self.interrupted = number
        return True

    @property
    def log(self) -> Path:
        """The worker's log; it outlives the folder's other contents where the run failed."""
        return self.path / "worker.log"


class SignalReceived(KeyboardInterrupt):
    """One of SIGNALS; a KeyboardInterrupt, for psycopg then cancels the statement under way."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.code = 128 + number


@contextmanager
def own_folder(kind: str, say: Say = silent) -> Iterator[ScratchFolder]:
    """A fresh folder for a run of this kind (`demo`): under `OUTBOXCTL_STATE`, else among temporary files.

    Whatever ends the block, a signal or a closed terminal too, ends all that runs in the folder.
    A signal is raised as Interrupted, an echo of the first one is not. UsageError where no folder can
    be made.
    """
    folder = _new(_parent(), kind)

    def leave(number: int, _frame: object) -> None:
        if folder.interrupt(number, monotonic()):
            _mute_hung_up()
            raise SignalReceived(number)

    with _lock(folder.path), handling(leave):
        try:
            sweep(kind, say)
            yield folder
        except BaseException as error:
            failed = isinstance(error, Exception) and not folder.interrupted
            folder.keep, folder.succeeded = False, not failed
            if folder.interrupted and isinstance(error, Exception):  # what the signal broke
                raise SignalReceived(folder.interrupted) from None
            raise
        finally:
            with handling(_not_now):
                _finish(folder, say)


def _parent() -> Path:
    return Path(os.environ.get("OUTBOXCTL_STATE") or tempfile.gettempdir()).resolve()


def _new(parent: Path, kind: str) -> ScratchFolder:
    try:
        parent.mkdir(parents=True, exist_ok=True)
        path = Path(tempfile.mkdtemp(prefix=f"outboxctl-{kind}-", dir=parent))
    except OSError as error:
        raise UsageError(f"cannot write to {parent}: {error.strerror}", hint="see OUTBOXCTL_STATE") from None
    path.chmod(0o711)  # root's PostgreSQL runs as somebody else, who must pass through
    return ScratchFolder(path)


def _finish(folder: ScratchFolder, say: Say) -> None:
    _end_workers(folder.path)
    if not folder.keep:
        for state in services.states(folder.path):
            services.down(state, purge=True, say=say)
    if folder.keep or (folder.log.exists() and not folder.succeeded):
        (folder.path / LOCK).unlink()  # nobody's to sweep
    else:
        shutil.rmtree(folder.path, ignore_errors=True)


def sweep(kind: str, say: Say = silent, found: Callable[[Path], object] = lambda _: None) -> None:
    """Clean up after runs of this kind that were killed: their locks went with them.

    `found` gets the folder of each before it is emptied.
    """
    for path in _parent().glob(f"outboxctl-{kind}-*/{LOCK}"):
        with suppress(OSError):
            # In a folder of somebody else's, all may be a trap: the lock may be a link to a file of ours.
            if path.parent.lstat().st_uid == os.geteuid():
                with path.open("a") as lock:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    with _naming(path.parent, say):
                        found(path.parent)
                        _finish(ScratchFolder(path.parent, succeeded=True), say)


@contextmanager
def _naming(folder: Path, say: Say) -> Iterator[None]:
    """A folder that cannot be cleaned up is no reason not to run."""
    try:
        yield
    except OutboxctlError as error:
        say(f"cannot clean up {folder}: {error}; {error.hint}")


@contextmanager
def _lock(folder: Path) -> Iterator[None]:
    """Hold the folder's lock. It gets its name once it is held, so that no sweep finds it free."""
    part = folder / f"{LOCK}.part"
    with part.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        part.rename(folder / LOCK)
        yield


def _end_workers(folder: Path) -> None:
    """End the workers, and what they started; somebody's shell in the folder is none."""
    for each in psutil.process_iter():
        with suppress(psutil.Error):
            if each.pid != os.getpid() and each.environ().get(RUN) == str(folder):
                # At once: what it worked for is thrown away, and one that is paused hears nothing else.
                process.end(each, politely=signal.SIGKILL, patience=PATIENCE_SECONDS)


@contextmanager
def handling(handler: "signal._HANDLER") -> Iterator[None]:
    """Another handler for a while; a signal that is ignored (`nohup`) stays ignored."""
    before = {number: signal.getsignal(number) for number in SIGNALS}
    try:
        for number, was in before.items():
            if was is not signal.SIG_IGN:
                signal.signal(number, handler)
        yield
    finally:
        for number, was in before.items():
            signal.signal(number, was)


def _mute_hung_up() -> None:
    """Let what is still said to a terminal that was closed go nowhere: it is no error that stops the rest."""
    for descriptor in (1, 2):
        with suppress(OSError):
            if stat.S_ISCHR(os.fstat(descriptor).st_mode) and not os.isatty(descriptor):
                os.dup2(os.open(os.devnull, os.O_WRONLY), descriptor)


def _not_now(_number: int, _frame: object) -> None:
    """Taking down is under way already, and takes seconds."""

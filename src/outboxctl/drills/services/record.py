"""The state folder: which services there are, kept in `services.json` and guarded by a lock."""

import fcntl
import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from outboxctl.domain.errors import UsageError
from outboxctl.drills.services.model import Role, Say, Service
from outboxctl.settings.folders import refuse_foreign


def load(root: Path) -> dict[Role, Service]:
    """Every recorded service, running or not. UsageError where the file is damaged."""
    path = root / "services.json"
    try:
        entries = [Service.from_facts(facts) for facts in json.loads(path.read_text())]
    except FileNotFoundError:
        return {}
    except (ValueError, KeyError, TypeError) as error:
        raise UsageError(f"{path} is damaged: {error}", hint="delete it; the data stays") from error
    return {entry.role: entry for entry in entries}


def save(root: Path, service: Service) -> Service:
    """Record one service beside the others."""
    _write(root, load(root) | {service.role: service})
    return service


def forget(root: Path, service: Service) -> None:
    """Drop one service from the record."""
    _write(root, {role: known for role, known in load(root).items() if role != service.role})


@contextmanager
def locked(folder: Path, say: Say) -> Iterator[None]:
    """Work alone in this folder. The kernel drops the lock with its holder, so it cannot be stale."""
    with _lock_file(folder) as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say(f"waiting for another outboxctl that works in {folder}")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _lock_file(folder: Path) -> TextIO:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        return (refuse_foreign(folder) / "lock").open("w")  # again: another user may have made it just now
    except OSError as error:
        raise UsageError(f"cannot write to {folder}: {error.strerror}", hint="see OUTBOXCTL_STATE") from error


def _write(root: Path, services: dict[Role, Service]) -> None:
    """Replace the file as a whole: a reader, or a crash, sees the old one or the new one."""
    text = json.dumps([service.facts() for service in services.values()], indent=2)
    with tempfile.NamedTemporaryFile("w", dir=root, prefix="services.", delete=False) as file:
        file.write(text + "\n")
        file.flush()
        os.fsync(file.fileno())
    Path(file.name).replace(root / "services.json")

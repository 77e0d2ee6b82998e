"""The record of services, and what every record is made of: a folder's lock, and a JSON file in it."""

import json
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any, TypeVar

from filelock import FileLock, Timeout

from outboxctl.domain.errors import UsageError
from outboxctl.drills.services.model import Role, Say, Service
from outboxctl.settings.folders import refuse_foreign

T = TypeVar("T")


def load(root: Path) -> dict[Role, Service]:
    """Every recorded service, running or not. UsageError where the file is damaged."""

    def recorded(facts: dict[str, Any]) -> Service:
        return Service(**facts | {"data": Path(facts["data"])})

    entries = read_json(root / "services.json", recorded, hint="delete it; the data stays")
    return {entry.role: entry for entry in entries}


def save(root: Path, service: Service) -> Service:
    """Record one service beside the others."""
    write(root, load(root) | {service.role: service})
    return service


def write(root: Path, services: dict[Role, Service]) -> None:
    """Record these services alone."""
    write_json(root / "services.json", [asdict(service) for service in services.values()])


@contextmanager
def locked(folder: Path, say: Say) -> Iterator[None]:
    """Hold the folder's lock. The kernel releases it with its holder. UsageError where it cannot be made."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(refuse_foreign(folder) / "lock")  # again: another user may have made it just now
        with suppress(Timeout):
            lock.acquire(blocking=False)
    except OSError as error:
        raise UsageError(f"cannot write to {folder}: {error.strerror}", hint="see OUTBOXCTL_STATE") from error
    try:
        if not lock.is_locked:
            say(f"waiting for another outboxctl that works in {folder}")
            lock.acquire()
        yield
    finally:
        lock.release()


def read_json(path: Path, make: Callable[[dict[str, Any]], T], *, hint: str) -> list[T]:
    """What a file of `write_json` lists, none without a file. UsageError where it is damaged."""
    try:
        return [make(facts) for facts in json.loads(path.read_text())]
    except FileNotFoundError:
        return []
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UsageError(f"{path} is damaged: {error}", hint=hint) from None


def write_json(path: Path, value: Any) -> None:
    """Replace a file at once, on disk: a reader, or a crash, leaves the old one or the new one."""
    with tempfile.NamedTemporaryFile("w", dir=path.parent, prefix=f"{path.stem}.", delete=False) as file:
        json.dump(value, file, indent=2, default=str)  # paths
        file.write("\n")
        file.flush()
        os.fsync(file.fileno())
    Path(file.name).replace(path)

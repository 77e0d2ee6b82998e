"""A standby of our own PostgreSQL, which takes its place: same port, another timeline, and what it missed."""

import time
from pathlib import Path

import psycopg

from outboxctl.domain.errors import UnreachableError
from outboxctl.drills.services import control, place, postgres, process
from outboxctl.drills.services.model import Service
from outboxctl.drills.services.record import load
from outboxctl.net.urls import check_database_url
from outboxctl.settings.folders import state_folder

GONE_SECONDS = 10.0


def copy(state: Path) -> bool:
    """Copy the PostgreSQL that runs there, as the standby that `promote` starts; it receives nothing later.

    False where that cannot be done: one in a container does not let us. Raises UnreachableError where the
    copy fails.
    """
    service = load(state_folder(state))["postgres"]
    if service.kind != "embedded":
        return False
    folder = _copied(service)
    folder.mkdir(mode=0o700)
    place.own(folder)
    postgres.base_backup(service, folder)
    return True


def promote(state: Path) -> Service:
    """Kill the server that was copied, start the copy on its port, and make it the primary. UnreachableError.

    Whoever was connected connects again by the same URL, as where an address moves to another machine.
    """
    service = load(state_folder(state))["postgres"]
    control.stop("postgres", state, kill=True)
    _wait_until_gone(service.data)
    service.data.rename(service.home / "lost")
    _copied(service).rename(service.data)
    promoted = control.start_postgres(state)
    try:
        with psycopg.connect(check_database_url(promoted.admin_url), autocommit=True) as connection:
            connection.execute("SELECT pg_catalog.pg_promote()")
    except psycopg.Error as error:
        raise UnreachableError("the standby was not promoted", hint=str(error)) from error
    return promoted


def _copied(service: Service) -> Path:
    return service.home / "standby"


def _wait_until_gone(data: Path) -> None:
    """A killed server leaves its children behind for a moment: they must not meet the copy's files."""
    deadline = time.monotonic() + GONE_SECONDS
    while [*process.occupants(data)] and time.monotonic() < deadline:
        time.sleep(process.POLL_SECONDS)

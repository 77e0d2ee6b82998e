"""Start and stop services: for `outboxctl services`, the demo, the labs and the tests.

`state` is the state folder (None: `OUTBOXCTL_STATE`, else the platform's); `say` is called with each line of
progress.
"""

import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

from outboxctl.domain.errors import UnreachableError
from outboxctl.drills.services import launch, sockets
from outboxctl.drills.services import postgres as database
from outboxctl.drills.services.launch import ServiceRequest
from outboxctl.drills.services.model import Role, Say, SearchWish, Service, Services, silent
from outboxctl.drills.services.process import log_tail
from outboxctl.drills.services.record import load, locked, save
from outboxctl.settings.folders import state_folder

PAUSE_SECONDS = 0.1
READY_SECONDS = 120.0


def up(
    state: Path | None = None,
    *,
    postgres_port: int | None = None,
    search: SearchWish = "auto",
    search_port: int | None = None,
    engine_settings: Sequence[str] = (),
    fresh_ports: bool = False,
    fast: bool = False,
    say: Say = silent,
) -> Services:
    """Start what does not run yet and wait until both answer.

    A port of None is the one used last, else 5435 and 9200, or with `fresh_ports` any free one.
    `engine_settings` are node settings of a real engine, `name=value`. `fast` trades PostgreSQL's safety
    in a power cut for speed. UnreachableError where a service does not start, UsageError where one runs
    already that is not what was asked for.
    """
    return Services(
        *_start(
            state,
            ServiceRequest("postgres", port=postgres_port, fresh=fresh_ports, fast=fast),
            ServiceRequest("search", search, search_port, fresh_ports, settings=tuple(engine_settings)),
            say=say,
        )
    )


def start_search(
    state: Path | None = None,
    *,
    search: SearchWish = "auto",
    port: int | None = None,
    engine_settings: Sequence[str] = (),
    fresh: bool = False,
    say: Say = silent,
) -> Service:
    """Start the search engine alone; by default the kind, the port and the data are those it had last.

    With `fresh`, one that was never started gets any free port.
    """
    request = ServiceRequest("search", search, port, fresh, settings=tuple(engine_settings))
    return _start(state, request, say=say)[0]


def start_postgres(
    state: Path | None = None,
    *,
    port: int | None = None,
    fresh: bool = False,
    fast: bool = False,
    say: Say = silent,
) -> Service:
    """Start PostgreSQL alone, on the port and the data it had last; see `start_search` for `fresh`."""
    return _start(state, ServiceRequest("postgres", port=port, fresh=fresh, fast=fast), say=say)[0]


def stop(role: Role, state: Path | None = None, *, kill: bool = False, say: Say = silent) -> Service | None:
    """End one service, with SIGKILL if `kill`, and return it; None where it does not run."""
    root = state_folder(state)
    with locked(root, say):
        return _ended(root, role, kill, say)


def down(state: Path | None = None, *, purge: bool = False, say: Say = silent) -> list[Service]:
    """End what `up` started, and nothing else; returns what ran. `purge` deletes the data as well."""
    root = state_folder(state)
    if not root.exists():
        return []
    with locked(root, say):
        known = load(root).values()
        ended = [service for service in known if _ended(root, service.role, False, say)]
        for service in known if purge else ():
            launch.purge(root, service)
    return ended


def status(state: Path | None = None) -> list[Service]:
    """Every recorded service, running or not."""
    return list(load(state_folder(state)).values())


def states(folder: Path) -> list[Path]:
    """The state folders in a folder, itself among them: those in which services are recorded."""
    return [record.parent for record in folder.rglob("services.json")]


def _start(state: Path | None, *requests: ServiceRequest, say: Say) -> list[Service]:
    root = state_folder(state)
    with locked(root, say), ExitStack() as ports:  # which are held until the services answer
        # All start, the last first, for an engine takes longest; then each is waited for.
        started = [launch.start(root, each, ports, say) for each in reversed(requests)]
        return [_ready(root, service, say) for service in reversed(started)]


def _ready(root: Path, service: Service, say: Say) -> Service:
    """Wait for a service and record its version. UnreachableError if its process ends or time is up."""
    deadline = time.monotonic() + READY_SECONDS
    while not (version := _version(service)):
        if not service.running:
            raise UnreachableError(f"{service.role} ended while it started", hint=log_tail(service.log))
        if time.monotonic() > deadline:
            why = f"{service.role} does not answer after {READY_SECONDS:g} s"
            raise UnreachableError(why, hint=log_tail(service.log))
        time.sleep(PAUSE_SECONDS)
    ready = save(root, replace(service, version=version))
    say(f"{ready.role}: {ready.kind} {version} answers on port {ready.port}")
    return ready


def _version(service: Service) -> str:
    return database.version(service) if service.role == "postgres" else sockets.engine_version(service.port)


def _ended(root: Path, role: Role, kill: bool, say: Say) -> Service | None:
    service = load(root).get(role)
    if service is None or not service.running:
        return None
    launch.end(root, service, kill=kill)
    say(f"{role}: ended")
    return service

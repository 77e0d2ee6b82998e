"""Start and stop services: for `outboxctl services`, the demo, the labs and the tests.

`state` is the state folder (None: `OUTBOXCTL_STATE`, else the platform's); `say` is called with each line of
progress.
"""

import shutil
import signal
import time
from collections.abc import Sequence
from contextlib import ExitStack, closing, suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from outboxctl.domain.errors import UnreachableError, UsageError
from outboxctl.drills.services import engines, model, place, postgres, process, sockets
from outboxctl.drills.services.model import Kind, Role, Say, SearchWish, Service, Services, locked, silent
from outboxctl.settings.folders import state_folder

PAUSE_SECONDS, READY_SECONDS, END_SECONDS = 0.1, 120.0, 20.0
DEFAULT_PORTS: dict[Role, int] = {"postgres": 5435, "search": 9200}
# PostgreSQL waits on SIGTERM until every client has disconnected.
END_SIGNALS: dict[Role, signal.Signals] = {"postgres": signal.SIGINT, "search": signal.SIGTERM}


@dataclass(frozen=True)
class ServiceRequest:
    """Which service to start. By default the kind, the port and the data are those it had last.

    Port None of one that was never started: its usual one or, if `fresh`, any that is free. `fast` trades
    PostgreSQL's safety in a power cut for speed.
    """

    role: Role
    search: SearchWish = "auto"
    port: int | None = None
    fresh: bool = False
    fast: bool = False


def up(
    state: Path | None = None,
    *,
    postgres_port: int | None = None,
    search: SearchWish = "auto",
    search_port: int | None = None,
    fresh_ports: bool = False,
    fast: bool = False,
    say: Say = silent,
) -> Services:
    """Start what does not run yet and wait until both answer; the arguments are those of ServiceRequest.

    UnreachableError where a service does not start, UsageError where one runs already that is not what was
    asked for.
    """
    database = ServiceRequest("postgres", port=postgres_port, fresh=fresh_ports, fast=fast)
    engine = ServiceRequest("search", search, search_port, fresh_ports)
    return Services(*_start(state, [database, engine], say))


def _alone(role: Role, state: Path | None = None, *, say: Say = silent, **request: Any) -> Service:
    """Start one service alone, and wait until it answers; `request` holds fields of ServiceRequest."""
    return _start(state, [ServiceRequest(role, **request)], say)[0]


start_search, start_postgres = partial(_alone, "search"), partial(_alone, "postgres")


def stop(role: Role, state: Path | None = None, *, say: Say = silent) -> Service | None:
    """End one service, and return it; None where it does not run. Its data and its port stay recorded."""
    root = state_folder(state)
    with locked(root, say):
        return _end(root, role, say)


def down(state: Path | None = None, *, purge: bool = False, say: Say = silent) -> list[Service]:
    """End what `up` started, and nothing else; returns what ran. `purge` deletes the data as well."""
    root = state_folder(state)
    if not root.exists():
        return []
    with locked(root, say):
        known = model.load(root)
        ended = [service for role in known if (service := _end(root, role, say))]
        for service in known.values() if purge else ():
            shutil.rmtree(service.home, ignore_errors=True)
            with suppress(OSError):  # the folder made for it, where that was outside the state folder
                service.home.parent.rmdir()
        if purge and known:
            model.write(root, {})
    return ended


def status(state: Path | None = None) -> list[Service]:
    """Return every recorded service, running or not."""
    return list(model.load(state_folder(state)).values())


def _start(state: Path | None, requests: Sequence[ServiceRequest], say: Say) -> list[Service]:
    root = state_folder(state)
    with locked(root, say), ExitStack() as ports:  # which are held until the services answer
        # All start, the last first, for an engine takes longest; then each is waited for.
        started = [_launch(root, each, ports, say) for each in reversed(requests)]
        return [_ready(root, service, say) for service in reversed(started)]


def _launch(root: Path, request: ServiceRequest, ports: ExitStack, say: Say) -> Service:
    """Start a service and record it, or return the running one. UsageError if another kind is asked for."""
    role, known = request.role, model.load(root).get(request.role)
    if known and known.running:
        if request.search not in ("auto", known.kind):
            raise UsageError(f"{role} already runs as {known.kind}", hint="outboxctl services down")
        say(
            f"{role}: already running on port {known.port}, by the state folder {root};"
            " for servers of your own: export OUTBOXCTL_STATE=ANOTHER_FOLDER"
        )
        return known
    if known and known.pid and known.born:
        process.settle(known.pid, known.born, patience=END_SECONDS)
    kind: Kind
    if request.search != "auto":
        kind = request.search
    elif known:
        kind = known.kind
    else:
        kind = engines.choose(say) if role == "search" else "embedded"
    # A folder for each kind: no engine reads another one's data.
    home = place.home(root, "postgres" if kind == "embedded" else kind)
    _end_leftovers(home / "data", role, say)  # first, for one may hold the port
    port = ports.enter_context(closing(_reserve_port(request, known, say))).port
    service = Service(role, kind, port, home / "data")
    command = _command(service, request, say)
    account, env = place.account(), place.environment()
    with process.spawned(command, cwd=service.data, log=service.log, account=account, env=env) as (pid, born):
        say(f"{role}: starting {kind} on port {port} (pid {pid})")
        return model.save(root, replace(service, pid=pid, born=born))


def _command(service: Service, request: ServiceRequest, say: Say) -> list[str]:
    """Make the data folder unless it exists; return the command line of the server."""
    if service.role == "postgres":
        postgres.prepare(service.home, fast=request.fast)
    place.make_data(service.data)
    if service.role == "postgres":
        return postgres.command(service, fast=request.fast)
    return engines.command(service, say)


def _reserve_port(request: ServiceRequest, known: Service | None, say: Say) -> sockets.Reserved:
    wanted = request.port or (known and known.port)
    if not wanted and request.fresh:
        return sockets.reserve()
    wanted = wanted or DEFAULT_PORTS[request.role]
    reserved = sockets.reserve_from(wanted)
    if reserved.port != wanted:
        say(f"{request.role}: port {wanted} is taken, using {reserved.port}")
    return reserved


def _end_leftovers(data: Path, role: Role, say: Say) -> None:
    """End the processes that a killed server, or a lost record, left in the data folder."""
    while leftovers := list(process.occupants(data)):
        for leftover in leftovers:
            say(f"{role}: ending a leftover process {leftover.pid}")
            process.end(leftover, END_SIGNALS[role], patience=END_SECONDS / 4)


def _ready(root: Path, service: Service, say: Say) -> Service:
    """Wait for a service and record its version. UnreachableError if its process ends or time is up."""
    deadline = time.monotonic() + READY_SECONDS
    while not (version := _version(service)):
        running, late = service.running, time.monotonic() > deadline
        if late or not running:
            why = f"does not answer after {READY_SECONDS:g} s" if running else "ended while it started"
            raise UnreachableError(f"{service.role} {why}", hint=process.log_tail(service.log))
        time.sleep(PAUSE_SECONDS)
    say(f"{service.role}: {service.kind} {version} answers on port {service.port}")
    return model.save(root, replace(service, version=version))


def _version(service: Service) -> str:
    """Return the version that our own process answers; empty until it does, or if another took the port."""
    if not service.listens:
        return ""
    return postgres.version(service) if service.role == "postgres" else sockets.engine_version(service.port)


def _end(root: Path, role: Role, say: Say) -> Service | None:
    service = model.load(root).get(role)
    if service is None or not (server := service.process):
        return None
    process.end(server, END_SIGNALS[role], patience=END_SECONDS)
    model.save(root, replace(service, pid=None, born=None))
    say(f"{role}: ended")
    return service

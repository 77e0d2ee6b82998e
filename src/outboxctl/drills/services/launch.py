"""Start and end one service. The caller holds the lock of the state folder."""

import shutil
import signal
from contextlib import ExitStack, closing, suppress
from dataclasses import dataclass, replace
from pathlib import Path

from outboxctl.domain.errors import UsageError
from outboxctl.drills.services import place, postgres, process, search, sockets
from outboxctl.drills.services.model import ENGINES, Kind, Role, Say, SearchWish, Service
from outboxctl.drills.services.record import forget, load, save

DEFAULT_PORTS: dict[Role, int] = {"postgres": 5435, "search": 9200}
# PostgreSQL waits on SIGTERM until every client has disconnected.
END_SIGNALS: dict[Role, signal.Signals] = {"postgres": signal.SIGINT, "search": signal.SIGTERM}
END_SECONDS = 20.0


@dataclass(frozen=True)
class ServiceRequest:
    """Which service to start; `auto` is the recorded kind, if there is one.

    Port None: the recorded one, else the default or, if `fresh`, any.
    """

    role: Role
    wish: SearchWish = "auto"
    port: int | None = None
    fresh: bool = False
    fast: bool = False
    settings: tuple[str, ...] = ()


def start(root: Path, request: ServiceRequest, ports: ExitStack, say: Say) -> Service:
    """Start a service, or find it running. It is recorded, and need not answer yet.

    Its port is reserved until `ports` ends, which is to be once it answers.
    """
    known = load(root).get(request.role)
    if known and known.running:
        return _running(known, request, say)
    if known and known.pid and known.born:
        process.settle(known.pid, known.born, patience=END_SECONDS)
    kind = _kind(request, known, say)
    if request.settings and kind not in ENGINES:
        raise UsageError(f"{kind} takes no engine settings", hint="they need search=elasticsearch")
    # A folder for each kind: no engine reads another one's data.
    home = place.home(root, "postgres" if kind == "embedded" else kind)
    _clear(home / "data", request.role, say)  # first, for it may hold the port
    port = ports.enter_context(closing(_port(request, known, say))).port
    service = Service(request.role, kind, port, home / "data", settings=request.settings)
    return _begin(root, service, request, say)


def end(root: Path, service: Service, *, kill: bool = False) -> None:
    """End a running service, with SIGKILL if `kill`; its data and its port stay recorded."""
    if service.pid and service.born and (server := process.find(service.pid, service.born)):
        number = signal.SIGKILL if kill else END_SIGNALS[service.role]
        process.end(server, number, patience=END_SECONDS)
    save(root, replace(service, pid=None, born=None))


def purge(root: Path, service: Service) -> None:
    """Delete the data of a service that has ended."""
    shutil.rmtree(service.home, ignore_errors=True)
    with suppress(OSError):  # the folder made for it outside the state folder, if that is where it was
        service.home.parent.rmdir()
    forget(root, service)


def _running(known: Service, request: ServiceRequest, say: Say) -> Service:
    """A service that runs already. UsageError where another kind or other settings are requested."""
    if request.wish not in ("auto", known.kind) or (request.settings and request.settings != known.settings):
        raise UsageError(
            f"{known.role} already runs as {known.kind} {' '.join(known.settings)}".rstrip(),
            hint="outboxctl services down",
        )
    say(f"{known.role}: already running on port {known.port}")
    return known


def _kind(request: ServiceRequest, known: Service | None, say: Say) -> Kind:
    if request.wish != "auto":
        return request.wish
    if known:
        return known.kind
    return search.choose(say) if request.role == "search" else "embedded"


def _port(request: ServiceRequest, known: Service | None, say: Say) -> sockets.Reserved:
    wanted = request.port or (known and known.port)
    if not wanted and request.fresh:
        return sockets.reserve()
    wanted = wanted or DEFAULT_PORTS[request.role]
    reserved = sockets.reserve_from(wanted)
    if reserved.port != wanted:
        say(f"{request.role}: port {wanted} is taken, using {reserved.port}")
    return reserved


def _begin(root: Path, service: Service, request: ServiceRequest, say: Say) -> Service:
    embedded = service.kind == "embedded"
    if embedded:
        postgres.prepare(service.home, fast=request.fast)
    place.make_data(service.data)
    command = postgres.command(service, fast=request.fast) if embedded else search.command(service, say)
    account, env = place.account(), place.environment()
    with process.spawned(command, cwd=service.data, log=service.log, account=account, env=env) as (pid, born):
        say(f"{service.role}: starting {service.kind} on port {service.port} (pid {pid})")
        return save(root, replace(service, pid=pid, born=born))


def _clear(data: Path, role: Role, say: Say) -> None:
    """End the processes that a killed server, or a lost record, left in the data folder."""
    while leftovers := list(process.occupants(data)):
        for leftover in leftovers:
            say(f"{role}: ending a leftover process {leftover.pid}")
            process.end(leftover, END_SIGNALS[role], patience=END_SECONDS / 4)

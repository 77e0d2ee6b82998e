"""Start and end one service. Whoever calls holds the lock of the state folder."""

import shutil
import signal
from contextlib import ExitStack, closing, suppress
from dataclasses import dataclass, replace
from pathlib import Path

from outboxctl.domain.errors import UsageError
from outboxctl.drills.services import docker, place, postgres, process, search, sockets
from outboxctl.drills.services.model import ENGINES, Kind, Role, Say, Service, Wish
from outboxctl.drills.services.record import forget, load, save

DEFAULT_PORTS: dict[Role, int] = {"postgres": 5435, "search": 9200}
# PostgreSQL takes SIGTERM as "once every client has left".
POLITE: dict[Role, signal.Signals] = {"postgres": signal.SIGINT, "search": signal.SIGTERM}
END_SECONDS = 20.0


@dataclass(frozen=True)
class ServiceRequest:
    """What is asked of a service. Port None: the recorded one, else the default or, if `fresh`, any."""

    role: Role
    wish: Wish = "auto"
    port: int | None = None
    fresh: bool = False
    fast: bool = False
    settings: tuple[str, ...] = ()


def start(root: Path, order: ServiceRequest, held: ExitStack, say: Say) -> Service:
    """Start a service, or find it running. It is recorded, and need not answer yet.

    Its port is reserved until `held` ends, which is to be once it answers.
    """
    known = load(root).get(order.role)
    if known and known.running:
        return _as_ordered(known, order, say)
    if known and known.pid and known.born:
        process.settle(known.pid, known.born, patience=END_SECONDS)
    kind = _kind(order, say)
    if order.settings and kind not in ENGINES:
        raise UsageError(f"{kind} takes no engine settings", hint="they need search=elasticsearch")
    home = _known_home(known, kind, say) or _home(root, kind)
    _clear(home / "data", order.role, say)  # first, for it may hold the port
    port = held.enter_context(closing(_port(order, known, say))).port
    service = Service(order.role, kind, port, home / "data", settings=order.settings)
    return _begin(root, service, order, say)


def end(root: Path, service: Service, *, kill: bool = False) -> None:
    """End a running service, politely unless `kill`; its data and its port stay recorded."""
    if service.kind == "docker":
        docker.stop(root, service)
    elif service.pid and service.born and (found := process.find(service.pid, service.born)):
        process.end(found, politely=signal.SIGKILL if kill else POLITE[service.role], patience=END_SECONDS)
    save(root, replace(service, pid=None, born=None))


def purge(root: Path, service: Service) -> None:
    """Delete the data of a service that has ended."""
    if service.kind == "docker":
        docker.remove(root)
    shutil.rmtree(service.home, ignore_errors=True)
    with suppress(OSError):  # the folder made for it outside the state folder, if that is where it was
        service.home.parent.rmdir()
    forget(root, service)


def _as_ordered(known: Service, order: ServiceRequest, say: Say) -> Service:
    """Take a running service for what was asked, unless something else was asked in so many words."""
    if order.wish not in ("auto", known.kind) or (order.settings and order.settings != known.settings):
        raise UsageError(
            f"{known.role} already runs as {known.kind} {' '.join(known.settings)}".rstrip(),
            hint="outboxctl services down",
        )
    say(f"{known.role}: already running on port {known.port}")
    return known


def _kind(order: ServiceRequest, say: Say) -> Kind:
    if order.wish != "auto":
        return order.wish
    return postgres.choose() if order.role == "postgres" else search.choose(say)


def _known_home(known: Service | None, kind: Kind, say: Say) -> Path | None:
    if known is None or known.kind != kind or not known.home.exists():
        return None
    if place.reaches(known.home):
        return known.home
    say(f"{known.role}: nobody, who runs it for root, cannot reach the data in {known.home}: beginning anew")
    return None


def _home(root: Path, kind: Kind) -> Path:
    """Return a folder of the kind's own: no engine reads another one's data."""
    return place.home(root, "postgres" if kind == "embedded" else kind)


def _port(order: ServiceRequest, known: Service | None, say: Say) -> sockets.Reserved:
    wanted = order.port or (known and known.port)
    if not wanted and order.fresh:
        return sockets.reserve()
    wanted = wanted or DEFAULT_PORTS[order.role]
    found = sockets.reserve_from(wanted)
    if found.port != wanted:
        say(f"{order.role}: port {wanted} is taken, using {found.port}")
    return found


def _begin(root: Path, service: Service, order: ServiceRequest, say: Say) -> Service:
    if service.kind == "docker":
        docker.start(root, service)
        return save(root, service)
    if service.kind == "embedded":
        postgres.prepare(service.home, fast=order.fast)
    place.make_data(service.data)
    command = _command(service, order, say)
    account, env = place.account(), place.environment()
    with process.spawned(command, cwd=service.data, log=service.log, account=account, env=env) as (pid, born):
        say(f"{service.role}: starting {service.kind} on port {service.port} (pid {pid})")
        return save(root, replace(service, pid=pid, born=born))


def _command(service: Service, order: ServiceRequest, say: Say) -> list[str]:
    if service.kind == "embedded":
        return postgres.command(service, fast=order.fast)
    return search.command(service, say)


def _clear(data: Path, role: Role, say: Say) -> None:
    """End what a killed server, or a lost record, left at work in the data folder."""
    while leftovers := list(process.occupants(data)):
        for leftover in leftovers:
            say(f"{role}: ending a leftover process {leftover.pid}")
            process.end(leftover, politely=POLITE[role], patience=END_SECONDS / 4)

"""Bring services up and down: `outboxctl services`, the demo, the labs and the tests all come here.

`state` is the state folder, see `record.state_folder`; `say` gets each line of progress.
"""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from outboxctl.drills.services import launch
from outboxctl.drills.services.model import PostgresWish, Role, Say, SearchWish, Service, Services, silent
from outboxctl.drills.services.ready import wait_ready
from outboxctl.drills.services.record import load, locked, save
from outboxctl.settings.folders import state_folder


def up(
    state: Path | None = None,
    *,
    postgres: PostgresWish = "auto",
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
    root = state_folder(state)
    first = launch.ServiceRequest("search", search, search_port, fresh_ports, settings=tuple(engine_settings))
    second = launch.ServiceRequest("postgres", postgres, postgres_port, fresh_ports, fast=fast)
    with _starting(root, say) as held:
        # Both start before either is waited for.
        engine, database = (launch.start(root, order, held, say) for order in (first, second))
        return Services(postgres=_answering(root, database, say), search=_answering(root, engine, say))


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
    root = state_folder(state)
    with _starting(root, say) as held:
        known = load(root).get("search")
        wish = known.kind if known and search == "auto" else search
        order = launch.ServiceRequest("search", wish, port, fresh, settings=tuple(engine_settings))
        return _answering(root, launch.start(root, order, held, say), say)


def start_postgres(
    state: Path | None = None,
    *,
    port: int | None = None,
    fresh: bool = False,
    fast: bool = False,
    say: Say = silent,
) -> Service:
    """Start PostgreSQL alone, on the port and the data it had last; see `start_search` for `fresh`."""
    root = state_folder(state)
    with _starting(root, say) as held:
        known = load(root).get("postgres")
        order = launch.ServiceRequest("postgres", known.kind if known else "auto", port, fresh, fast=fast)
        return _answering(root, launch.start(root, order, held, say), say)


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


@contextmanager
def _starting(root: Path, say: Say) -> Iterator[ExitStack]:
    """Work alone in the folder; what is held until the services answer, their ports, is let go at the end."""
    with locked(root, say), ExitStack() as held:
        yield held


def _answering(root: Path, service: Service, say: Say) -> Service:
    ready = save(root, wait_ready(service))
    say(f"{ready.role}: {ready.kind} {ready.version} answers on port {ready.port}")
    return ready


def _ended(root: Path, role: Role, kill: bool, say: Say) -> Service | None:
    service = load(root).get(role)
    if service is None or not service.running:
        return None
    launch.end(root, service, kill=kill)
    say(f"{role}: ended")
    return service

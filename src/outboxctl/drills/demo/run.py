"""The demo: services of its own, the steps, everything ended, and the report."""

import platform
from contextlib import closing
from dataclasses import dataclass
from threading import Event
from time import monotonic

from outboxctl.domain.errors import OutboxctlError
from outboxctl.drills import services
from outboxctl.drills.demo.documents import collect
from outboxctl.drills.demo.story import Renamed, Screen, Story
from outboxctl.drills.labs.context import LabContext
from outboxctl.drills.labs.model import LabCheck, LabVerdict, Record
from outboxctl.drills.scratch.folder import own_folder
from outboxctl.drills.scratch.settings import Namespace
from outboxctl.drills.services.model import SearchWish
from outboxctl.sink.index.index_setup import Hit

# Short leases, so that events of a killed worker are reclaimed soon.
SETTINGS = {
    "OUTBOX_LEASE_SECONDS": "2",
    "OUTBOX_RECLAIM_INTERVAL_SECONDS": "1",
    "OUTBOX_POLL_INTERVAL_SECONDS": "0.2",
    "OUTBOX_BULK_SIZE": "200",
    "OUTBOX_CONCURRENCY": "3",
}


@dataclass(frozen=True)
class DemoReport:
    """The report. `ok` only if every check is; `worker_log` only where a check failed."""

    ok: bool
    seconds: float
    python: str
    postgres: str
    search: str
    documents: int
    hits: list[Hit]
    renamed: Renamed
    checks: list[LabCheck]
    worker_log: str | None


def run_demo(search: SearchWish, screen: Screen) -> DemoReport:
    """Run all steps on services of its own; the report once everything has ended. SignalReceived."""
    began, record = monotonic(), Record("demo", "")
    with own_folder("demo", screen.detail) as folder:
        try:
            screen.step("Services", "starting PostgreSQL and a search engine")
            both = services.up(folder.path, search=search, fresh_ports=True, fast=True, say=screen.detail)
            postgres, engine = (f"{each.kind} {each.version}" for each in (both.postgres, both.search))
            caveat = f" ({both.search.caveat})" if both.search.caveat else ""
            screen.ended(f"PostgreSQL: {postgres}, {engine}{caveat}")
            ends = {
                "DATABASE_URL": both.postgres.url,
                "ELASTIC_URL": both.search.url,
                "ELASTIC_INDEX": "demo",
            }
            namespace = Namespace(ends, SETTINGS, {}, folder.path)
            screen.step("Documents", "reading the docstrings of Python's standard library")
            docs = collect()
            screen.ended(f"{len(docs):,} docstrings of Python's standard library")
            with closing(LabContext(namespace, record, folder.path, Event())) as ctx:
                hits, renamed = Story(ctx, screen, docs).tell()
        except OutboxctlError as error:
            if not error.hint and folder.log.exists():
                error.hint = f"the worker's log: {folder.log}"
            raise
        folder.succeeded = _ok(record)
        screen.step("Down", "ending what was started")
    screen.ended("the services have ended, their data is deleted")
    left = sum((both.postgres.running, both.search.running, ctx.worker("w1").running))
    ctx.expect("processes left running", 0, left)
    return DemoReport(
        ok=_ok(record),
        seconds=round(monotonic() - began, 1),
        python=platform.python_version(),
        postgres=postgres,
        search=f"{engine}{caveat}",
        documents=len(docs),
        hits=hits,
        renamed=renamed,
        checks=record.checks,
        worker_log=None if folder.succeeded else str(folder.log),
    )


def _ok(record: Record) -> bool:
    return LabVerdict.worst(check.verdict for check in record.checks) is LabVerdict.OK

"""The demo: services of its own, the steps, everything ended, and the report."""

from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from time import monotonic

from outboxctl.domain.errors import OutboxctlError
from outboxctl.drills import services
from outboxctl.drills.demo.documents import collect
from outboxctl.drills.demo.story import Screen, Story
from outboxctl.drills.labs.context import LabContext
from outboxctl.drills.labs.model import LabCheck, LabVerdict, Record
from outboxctl.drills.scratch.folder import own_folder
from outboxctl.drills.scratch.settings import Namespace
from outboxctl.drills.services.model import SearchWish

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
    """What was seen; `worker_log` only where a check failed."""

    checks: list[LabCheck]
    seconds: float
    worker_log: Path | None

    @property
    def ok(self) -> bool:
        """Whether every check is."""
        return LabVerdict.worst(check.verdict for check in self.checks) is LabVerdict.OK


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
                Story(ctx, screen, docs).tell()
        except OutboxctlError as error:
            if not error.hint and folder.log.exists():
                error.hint = f"the worker's log: {folder.log}"
            raise
        folder.succeeded = not record.unmet
        screen.step("Down", "ending what was started")
    screen.ended("the services have ended, their data is deleted")
    left = sum((both.postgres.running, both.search.running, ctx.worker("w1").running))
    ctx.expect("processes left running", 0, left)
    log = None if folder.succeeded else folder.log
    return DemoReport(record.checks, monotonic() - began, log)

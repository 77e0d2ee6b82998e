"""The demo: services of its own, the steps, everything ended, and the report."""

import platform
from collections.abc import Generator, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from time import monotonic

from outboxctl.domain.errors import OutboxctlError
from outboxctl.drills import services
from outboxctl.drills.demo.report import DemoReport, DemoStep, Event, Kept, StepOutput
from outboxctl.drills.demo.steps import QUERY, Steps
from outboxctl.drills.demo.system import DemoSystem
from outboxctl.drills.scratch.folder import own_folder
from outboxctl.drills.services.model import Say, SearchWish


def run_demo(search: SearchWish, *, keep: bool, say: Say) -> Generator[Event, None, DemoReport]:
    """Run all steps on services of its own; returns the report once everything has ended.

    `say` gets each line that the services print while they start and end. With `keep` they go on
    running. Closing the generator early ends everything as well. Raises OutboxctlError.
    """
    began = monotonic()
    with own_folder("demo", say) as folder, _log_as_hint(folder.log):
        yield DemoStep("Services", "starting PostgreSQL and a search engine")
        both = services.up(folder.path, search=search, fresh_ports=True, fast=True, say=say)
        postgres = f"{both.postgres.kind} {both.postgres.version}"
        engine = f"{both.search.kind} {both.search.version}"
        caveat = f" ({both.search.caveat})" if both.search.caveat else ""
        yield StepOutput(f"{both.postgres.kind} PostgreSQL {both.postgres.version}, {engine}{caveat}")
        with closing(DemoSystem(folder.path, both)) as system:
            steps = Steps(system)
            yield from steps.play()
        folder.keep, folder.succeeded = keep, all(check.ok for check in steps.checks)
        yield DemoStep("Down", "ending what was started")
    ended = "the services keep running" if keep else "the services have ended, their data is deleted"
    yield StepOutput(ended)
    running = sum((both.postgres.running, both.search.running, system.worker.running))
    steps.check("processes left running", running, 2 if keep else 0)
    urls, index = (both.postgres.url, both.search.url), system.settings.elastic_index
    kept = Kept(str(folder.path), *urls, index, steps.projected.shown.name)
    return DemoReport(
        ok=all(check.ok for check in steps.checks),
        seconds=round(monotonic() - began, 1),
        python=platform.python_version(),
        postgres=postgres,
        search=engine,
        caveat=both.search.caveat,
        documents=len(steps.documents),
        query=QUERY,
        hits=tuple(steps.hits),
        replay_dry_run=tuple(steps.replayable),
        projection=steps.projected.shown,
        checks=tuple(steps.checks),
        kept=kept if keep else None,
        worker_log=None if folder.succeeded else str(folder.log),
    )


@contextmanager
def _log_as_hint(log: Path) -> Iterator[None]:
    """The hint of an error without one is the worker's log, if there is one."""
    try:
        yield
    except OutboxctlError as error:
        if not error.hint and log.exists():
            error.hint = f"the worker's log: {log}"
        raise

"""The story: services of its own, the acts, everything taken down, and the report."""

import platform
from collections.abc import Generator, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from time import monotonic
from typing import Any

from outboxctl.domain.errors import OutboxctlError
from outboxctl.drills import services
from outboxctl.drills.demo.report import DemoReport, Event, Kept, Step, StepOutput
from outboxctl.drills.demo.stage import Stage
from outboxctl.drills.demo.steps import QUERY, Steps
from outboxctl.drills.scratch.folder import own_folder
from outboxctl.drills.services import Services
from outboxctl.drills.services.model import Say, SearchWish


def run_story(search: SearchWish, *, keep: bool, say: Say) -> Generator[Event, None, DemoReport]:
    """Tell the whole story on services of its own; returns the report once everything is down.

    `say` gets each line that the services say while they start and end. With `keep` the services stay.
    Closing the generator early takes everything down as well. Raises OutboxctlError.
    """
    began = monotonic()
    with own_folder("demo", say) as folder, _naming(folder.log):
        yield Step("Services", "starting PostgreSQL and a search engine")
        both = services.up(folder.path, search=search, fresh_ports=True, fast=True, say=say)
        yield StepOutput(_described(both))
        with closing(Stage(folder.path, both)) as stage:
            acts = Steps(stage)
            yield from acts.play()
        folder.keep, folder.succeeded = keep, all(check.ok for check in acts.checks)
        yield Step("Down", "ending what was started")
    kept = Kept.of(folder.path, both, stage.settings.elastic_index) if keep else None
    yield StepOutput(
        "the services keep running" if kept else "the services have ended, their data is deleted"
    )
    acts.check("processes left running", _running(both, stage), 2 if kept else 0)
    log = None if folder.succeeded else str(folder.log)
    return _report(acts, both, seconds=round(monotonic() - began, 1), kept=kept, worker_log=log)


def _report(acts: Steps, both: Services, **rest: Any) -> DemoReport:
    return DemoReport(
        ok=all(check.ok for check in acts.checks),
        python=platform.python_version(),
        postgres=f"{both.postgres.kind} {both.postgres.version}",
        search=f"{both.search.kind} {both.search.version}",
        caveat=both.search.caveat,
        documents=len(acts.documents),
        query=QUERY,
        hits=tuple(acts.hits),
        replay_dry_run=tuple(acts.replayable),
        checks=tuple(acts.checks),
        **rest,
    )


def _described(both: Services) -> str:
    engine = f"{both.search.kind} {both.search.version}"
    caveat = f" ({both.search.caveat})" if both.search.caveat else ""
    return f"{both.postgres.kind} PostgreSQL {both.postgres.version}, {engine}{caveat}"


def _running(both: Services, stage: Stage) -> int:
    return sum((both.postgres.running, both.search.running, stage.worker.running))


@contextmanager
def _naming(log: Path) -> Iterator[None]:
    """An error that says nothing else to do says where the worker's log is, once there is one."""
    try:
        yield
    except OutboxctlError as error:
        if not error.hint and log.exists():
            error.hint = f"the worker's log: {log}"
        raise

"""The demo: services of its own, the steps, everything ended, and the report."""

import platform
from contextlib import closing
from time import monotonic

from outboxctl.domain.errors import OutboxctlError
from outboxctl.drills import services
from outboxctl.drills.demo.report import DemoReport, Screen
from outboxctl.drills.demo.steps import QUERY, Steps
from outboxctl.drills.demo.system import DemoSystem
from outboxctl.drills.scratch.folder import own_folder
from outboxctl.drills.services.model import SearchWish


def run_demo(search: SearchWish, screen: Screen) -> DemoReport:
    """Run all steps on services of its own; returns the report once everything has ended.

    Raises SignalReceived where a signal ended it, and OutboxctlError.
    """
    began = monotonic()
    with own_folder("demo", screen.detail) as folder:
        try:
            screen.step("Services", "starting PostgreSQL and a search engine")
            both = services.up(folder.path, search=search, fresh_ports=True, fast=True, say=screen.detail)
            postgres = f"{both.postgres.kind} {both.postgres.version}"
            engine, caveat = f"{both.search.kind} {both.search.version}", both.search.caveat
            screen.ended(f"PostgreSQL: {postgres}, {engine}{f' ({caveat})' if caveat else ''}")
            with closing(DemoSystem(folder.path, both)) as system:
                steps = Steps(system, screen)
                steps.play()
        except OutboxctlError as error:
            if not error.hint and folder.log.exists():
                error.hint = f"the worker's log: {folder.log}"
            raise
        folder.succeeded = all(check.ok for check in steps.checks)
        screen.step("Down", "ending what was started")
    screen.ended("the services have ended, their data is deleted")
    running = sum((both.postgres.running, both.search.running, system.worker.running))
    steps.check("processes left running", running, 0)
    return DemoReport(
        ok=all(check.ok for check in steps.checks),
        seconds=round(monotonic() - began, 1),
        python=platform.python_version(),
        postgres=postgres,
        search=engine,
        caveat=caveat,
        documents=len(steps.documents),
        query=QUERY,
        hits=tuple(steps.hits),
        replay_dry_run=tuple(steps.replayable),
        projection=steps.projected,
        checks=tuple(steps.checks),
        worker_log=None if folder.succeeded else str(folder.log),
    )

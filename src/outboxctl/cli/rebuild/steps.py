"""What `rebuild` does between its flags and its reports."""

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import typer

from outboxctl.cli import guards, parse
from outboxctl.cli.options import checked_database
from outboxctl.cli.rebuild import view as rebuild_view
from outboxctl.domain.errors import ExitCode, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from outboxctl.core.database import Database
    from outboxctl.operations.rebuild.model import Tools
    from outboxctl.operations.rebuild.plan import RebuildPlan
    from outboxctl.settings import Settings
    from outboxctl.sink.transport.client import Client

CONNECTIONS = 6  # the lock's, the row's, one to read with, and three of the comparison


def desk(
    settings: "Settings", *, by: str | None, reason: str, keep_old: str, yes: bool, dry_run: bool, json: bool
) -> "Desk":
    """The checked flags; UsageError names a bad one."""
    return Desk(
        settings,
        parse.words("--by", guards.login() if by is None else by, 120),
        parse.words("--reason", reason, 2_000),
        parse.duration("--keep-old", keep_old).total_seconds(),
        yes,
        dry_run,
        json,
    )


@dataclass(frozen=True)
class Desk:
    """The flags that all ways of the command share; `grace`: seconds that the old index is kept."""

    settings: "Settings"
    by: str
    reason: str
    grace: float
    yes: bool
    dry_run: bool
    json: bool

    @property
    def name(self) -> str:
        """The index or alias."""
        return self.settings.elastic_index

    def rebuild(self, mapping: str, patience: float, *, allow_failures: bool, keep_failed: bool) -> None:
        """Build a new index, or go on with one."""
        from outboxctl.operations.rebuild.plan import choose, plan

        mappings, settings = choose(mapping)
        with self._both() as (db, client):
            with db.begin() as connection:
                planned = plan(connection, client, self.name, mappings=mappings, settings=settings)
            self._carry_out(
                db, client, planned, patience, allow_failures=allow_failures, keep_failed=keep_failed
            )

    def rollback(self, patience: float) -> None:
        """Back to the index that is kept."""
        from outboxctl.operations.rebuild.plan import plan_rollback

        with self._both() as (db, client):
            with db.begin() as connection:
                planned = plan_rollback(connection, client, self.name)
            self._carry_out(db, client, planned, patience, allow_failures=True, keep_failed=False)

    def abort(self) -> None:
        """End the interrupted one."""
        from outboxctl.core.operator import rebuilds
        from outboxctl.operations.rebuild.undo import abort, condemned

        with self._both() as (db, client):
            with db.begin() as connection:
                row = rebuilds.active_rebuild(connection, self.name)
            if row is None:
                raise UsageError(f"no rebuild of {self.name} is under way")
            deleted = condemned(client, row)
            if not self.dry_run:
                self._ask(db, f"abort the {row.action} of {self.name} (phase {row.phase})")
                with self._tools(db, client) as tools:
                    deleted = abort(tools, row, by=self.by, reason=self.reason)
        rebuild_view.aborted(row, deleted, dry_run=self.dry_run, json=self.json)

    def cleanup(self) -> None:
        """Delete what was kept long enough."""
        from outboxctl.core.operator import rebuilds
        from outboxctl.operations.rebuild.undo import cleanup, plan_cleanup

        with self._both() as (db, client):
            with db.begin() as connection:
                if rebuilds.active_rebuild(connection, self.name):
                    raise UsageError(f"a rebuild of {self.name} is under way: finish or abort it first")
                overdue = rebuilds.overdue(connection, self.name)
            planned = plan_cleanup(client, overdue)
            names = [str(row.kept_index) for row in planned.delete]
            if (names or planned.gone) and not self.dry_run:
                self._ask(db, f"delete {', '.join(names) or 'nothing, but forget what is gone'}")
                with self._tools(db, client) as tools:
                    cleanup(tools, planned, by=self.by, reason=self.reason)
        rebuild_view.cleaned(self.name, names, planned.keep, dry_run=self.dry_run, json=self.json)
        if planned.keep and not self.dry_run:
            raise typer.Exit(ExitCode.FINDINGS)

    def status(self) -> None:
        """How far it is."""
        from outboxctl.core.operator import rebuilds

        with guards.reading(self.settings) as connection:
            rows = rebuilds.recent(connection, self.name, limit=20)
            running = rebuilds.runs(connection, self.name)
        rebuild_view.status(self.name, rows, running=running, json=self.json)

    def _carry_out(
        self,
        db: "Database",
        client: "Client",
        plan: "RebuildPlan",
        patience: float,
        *,
        allow_failures: bool,
        keep_failed: bool,
    ) -> None:
        from outboxctl.operations.rebuild.run import apply

        if self.dry_run:
            rebuild_view.plan(plan, json=self.json)
            return
        self._ask(db, plan.words)
        with (
            rebuild_view.screen(plan.entities, json=self.json) as (say, advance),
            self._tools(
                db, client, patience=patience, allow_failures=allow_failures, say=say, advance=advance
            ) as tools,
        ):
            done = apply(
                tools, plan, by=self.by, reason=self.reason, grace_seconds=self.grace, keep_failed=keep_failed
            )
        raise typer.Exit(rebuild_view.report(done, json=self.json))

    def _ask(self, db: "Database", what: str) -> None:
        guards.refuse_if_read_only(self.settings, what)
        guards.confirm(self.settings, db, what, yes=self.yes, always=True)

    @contextmanager
    def _both(self) -> "Iterator[tuple[Database, Client]]":
        from outboxctl.sink.transport.open import connect

        if not self.dry_run:
            guards.refuse_if_read_only(self.settings, f"rebuild {self.name}")
        client = connect(self.settings)
        try:
            with checked_database(self.settings, connections=CONNECTIONS) as db:
                yield db, client
        finally:
            client.close()

    @contextmanager
    def _tools(
        self,
        db: "Database",
        client: "Client",
        *,
        patience: float = 0.0,
        allow_failures: bool = False,
        say: "Callable[[str], object]" = lambda _: None,
        advance: "Callable[[int], object]" = lambda _: None,
    ) -> "Iterator[Tools]":
        from outboxctl.operations import batches
        from outboxctl.operations.rebuild.model import Tools
        from outboxctl.operations.rebuild.run import alone

        with alone(db, self.name) as held, batches.stoppable() as stop:
            yield Tools(
                db, client, held, stop, self.settings.bulk_size, patience, allow_failures, say, advance
            )

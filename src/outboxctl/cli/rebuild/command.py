"""`rebuild`: a new index behind the alias; its status, its end, the way back, and the cleanup."""

from contextlib import closing, contextmanager
from dataclasses import dataclass
from enum import Enum, auto
from typing import TYPE_CHECKING, Annotated, Any

import typer

from outboxctl.cli import completion, guards, parse
from outboxctl.cli.options import DryRun, PipelineOptions, Yes, audited, print_progress
from outboxctl.cli.rebuild import view
from outboxctl.domain.errors import ExitCode, OutboxctlError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from outboxctl.core.database import Connection, Database
    from outboxctl.operations.rebuild.model import Tools
    from outboxctl.operations.rebuild.plan import Part, RebuildPlan
    from outboxctl.operations.rebuild.source import DocumentSource
    from outboxctl.settings import Settings
    from outboxctl.sink.transport.client import Client

CONNECTIONS = 6  # the lock's, the row's, one to read with, and three of the comparison


class Left(Enum):
    """Of what is left of a projection's rebuilds: those under way, or with a kept index, too."""

    UNDER_WAY = auto()
    ANY = auto()


@dataclass(frozen=True, kw_only=True)
class RebuildOptions(PipelineOptions):
    """All options but those that choose what is done."""

    projection: Annotated[
        str | None,
        typer.Option(
            "--projection",
            help="The index of this projection [default: search_index's].",
            autocompletion=completion.projections,
        ),
    ] = None
    by: Annotated[str | None, typer.Option(help="Who does it [default: the login name].")] = None
    reason: Annotated[str | None, typer.Option(help="Why (goes into the audit) [default: rebuild].")] = None
    yes: Yes = False
    dry_run: DryRun = False
    mapping: Annotated[
        str | None,
        typer.Option(
            help="`keep` that of the old index, `default` for the project's own (of a projection: as it is "
            "declared), or a JSON file with `mappings`, `settings` or both [default: keep; of a projection: "
            "default]."
        ),
    ] = None
    keep_old: Annotated[str, typer.Option(help="How long the old index is kept: 24h, 7d.")] = "24h"
    allow_failures: Annotated[
        bool, typer.Option("--allow-failures", help="Go on without documents that the new index refuses.")
    ] = False
    keep_failed: Annotated[
        bool, typer.Option("--keep-failed", help="Do not delete the new index if it refuses documents.")
    ] = False
    patience: Annotated[
        float, typer.Option(min=0, max=86_400, help="Seconds that the sink may be unreachable.")
    ] = 60.0


def rebuild(
    options: RebuildOptions,
    status: Annotated[
        bool, typer.Option("--status", help="Show how far it is, and the latest ones.")
    ] = False,
    abort: Annotated[
        bool, typer.Option("--abort", help="End an interrupted one: delete its new index.")
    ] = False,
    rollback: Annotated[
        bool, typer.Option("--rollback", help="Back to the old index, while it is kept.")
    ] = False,
    cleanup: Annotated[
        bool, typer.Option("--cleanup", help="Delete old indexes that were kept long enough.")
    ] = False,
) -> None:
    """Build a new index from the database while events flow, and put it behind the alias at once.

    Killed or interrupted, the same command goes on where it stopped.

    Example: outboxctl rebuild --by alice --reason "new analyzer" --mapping new.json --yes
    """
    modes = {"status": status, "abort": abort, "rollback": rollback, "cleanup": cleanup}
    chosen = [name for name, wanted in modes.items() if wanted]
    if len(chosen) > 1:
        raise UsageError(f"{' and '.join(f'--{name}' for name in chosen)} exclude each other: give one")
    mode = chosen[0] if chosen else "rebuild"
    who = audited(options.by, mode if options.reason is None else options.reason)
    grace = parse.duration("--keep-old", options.keep_old).total_seconds()
    try:
        getattr(RebuildModes(options, options.settings(), who, grace), mode)()
    except OutboxctlError as error:
        error.hint = view.of_projection(error.hint, options.projection)
        raise


@dataclass(frozen=True)
class Chosen:
    """The index or alias that is rebuilt, and what from; `gone`: no projection in force has it any more."""

    name: str
    source: "DocumentSource"
    gone: bool = False


@dataclass(frozen=True)
class RebuildModes:
    """What the command can do, a method for each; `grace`: seconds that the old index is kept."""

    options: RebuildOptions
    settings: "Settings"
    who: dict[str, str]
    grace: float

    def rebuild(self) -> None:
        """Build a new index, or go on with one."""
        from outboxctl.operations.rebuild.plan import choose, plan

        given = choose(self.options.mapping or "keep") if self.options.mapping != "default" else None
        with self._both() as (db, client, chosen):
            with db.begin() as connection:
                mappings, settings = self._mapping(connection, chosen, given)
                planned = plan(
                    connection,
                    client,
                    chosen.name,
                    mappings=mappings,
                    settings=settings,
                    source=chosen.source,
                )
            self._carry_out(db, client, chosen, planned, allow_failures=self.options.allow_failures)

    def _mapping(
        self, connection: "Connection", chosen: Chosen, given: "tuple[Part, Part] | None"
    ) -> "tuple[Part, Part]":
        """What is given of the new index; of an interrupted rebuild nothing has to be given again."""
        from outboxctl.core.operator import rebuilds
        from outboxctl.operations.projection.known import named
        from outboxctl.operations.rebuild.plan import choose
        from outboxctl.operations.rebuild.projected import declared

        name = chosen.source.name
        if not name:
            return given or choose("default")
        as_usual = self.options.mapping is None
        if given and not (as_usual and rebuilds.active_rebuild(connection, chosen.name) is None):
            return given
        return declared(connection, named(connection, name))

    def rollback(self) -> None:
        """Back to the index that is kept."""
        from outboxctl.operations.rebuild.plan import plan_rollback

        with self._both() as (db, client, chosen):
            with db.begin() as connection:
                planned = plan_rollback(connection, client, chosen.name, source=chosen.source)
            self._carry_out(db, client, chosen, planned, allow_failures=True)

    def abort(self) -> None:
        """End the interrupted one."""
        from outboxctl.core.operator import rebuilds
        from outboxctl.operations.rebuild.undo import abort, condemned

        with self._both(Left.UNDER_WAY) as (db, client, chosen):
            with db.begin() as connection:
                row = rebuilds.active_rebuild(connection, chosen.name)
            if row is None:
                raise UsageError(f"no rebuild of {chosen.name} is under way")
            deleted = condemned(client, row)
            if not self.options.dry_run:
                self._confirm(db, f"abort the {row.action} of {chosen.name} (phase {row.phase})")
                with self._tools(db, client, chosen) as tools:
                    deleted = abort(tools, row, **self.who, gone=chosen.gone)
        view.aborted(row, deleted, dry_run=self.options.dry_run, json=self.options.json)

    def cleanup(self) -> None:
        """Delete what was kept long enough."""
        from outboxctl.core.operator import rebuilds
        from outboxctl.operations.rebuild.undo import cleanup, plan_cleanup

        with self._both(Left.ANY) as (db, client, chosen):
            with db.begin() as connection:
                if rebuilds.active_rebuild(connection, chosen.name):
                    raise UsageError(f"a rebuild of {chosen.name} is under way: finish or abort it first")
                overdue = rebuilds.overdue(connection, chosen.name)
            planned = plan_cleanup(client, overdue)
            names = [str(row.kept_index) for row in planned.delete]
            if (names or planned.gone) and not self.options.dry_run:
                self._confirm(db, f"delete {', '.join(names) or 'nothing, but forget what is gone'}")
                with self._tools(db, client, chosen) as tools:
                    cleanup(tools, planned, **self.who)
        view.cleaned(chosen.name, names, planned.keep, dry_run=self.options.dry_run, json=self.options.json)
        if planned.keep and not self.options.dry_run:
            raise typer.Exit(ExitCode.FINDINGS)

    def status(self) -> None:
        """How far it is."""
        from outboxctl.core.operator import rebuilds

        with guards.reading(self.settings) as connection:
            name = self._choose(connection, Left.ANY).name
            rows = rebuilds.recent(connection, name, limit=20)
            running = rebuilds.runs(connection, name)
        view.status(name, rows, running=running, json=self.options.json)

    def _carry_out(
        self, db: "Database", client: "Client", chosen: Chosen, plan: "RebuildPlan", *, allow_failures: bool
    ) -> None:
        from outboxctl.operations.rebuild.run import apply

        if self.options.dry_run:
            view.plan(plan, json=self.options.json)
            return
        self._confirm(db, plan.words)
        more: dict[str, Any] = {"patience": self.options.patience, "allow_failures": allow_failures}
        with (
            view.screen(plan.entities, json=self.options.json) as (say, advance),
            self._tools(db, client, chosen, **more, say=say, advance=advance) as tools,
        ):
            keep_failed = self.options.keep_failed
            done = apply(tools, plan, **self.who, grace_seconds=self.grace, keep_failed=keep_failed)
        raise typer.Exit(view.report(done, self.options.projection, json=self.options.json))

    def _confirm(self, db: "Database", what: str) -> None:
        guards.refuse_if_read_only(self.settings, what)
        guards.confirm(self.settings, db, what, yes=self.options.yes, always=True)

    @contextmanager
    def _both(self, left: "Left | None" = None) -> "Iterator[tuple[Database, Client, Chosen]]":
        from outboxctl.sink.transport.open import connect

        if not self.options.dry_run:
            what = self.options.projection or self.settings.elastic_index
            guards.refuse_if_read_only(self.settings, f"rebuild {what}")
        with (
            closing(connect(self.settings)) as client,
            guards.checked_database(self.settings, connections=CONNECTIONS) as db,
        ):
            with db.begin() as connection:
                chosen = self._choose(connection, left)
            yield db, client, chosen

    def _choose(self, connection: "Connection", left: "Left | None" = None) -> Chosen:
        """The index of the projection that is named, or ELASTIC_INDEX unless that is a projection's.

        With `left` also one that the projection had when a rebuild of it was left.
        """
        from outboxctl.core.projections import choosing
        from outboxctl.domain.lifecycle import PROJECTION
        from outboxctl.operations.projection.known import named
        from outboxctl.operations.rebuild.projected import ProjectionSource
        from outboxctl.operations.rebuild.search_index import SearchIndex

        if self.options.projection not in {None, PROJECTION}:
            name = str(self.options.projection)
            if left and (alias := _left(connection, name, under_way=left is Left.UNDER_WAY)):
                return Chosen(alias, SearchIndex(), gone=True)
            projection = named(connection, name)
            return Chosen(projection.index, ProjectionSource(projection, print_progress))
        index = self.settings.elastic_index
        owner = next((each.name for each in choosing.declared(connection) if each.index == index), None)
        if owner:
            raise UsageError(
                f"{index} is the index of the projection {owner}", hint=f"add --projection {owner}"
            )
        return Chosen(index, SearchIndex())

    @contextmanager
    def _tools(
        self, db: "Database", client: "Client", chosen: Chosen, *, patience: float = 0.0, **more: Any
    ) -> "Iterator[Tools]":
        from outboxctl.operations import batches
        from outboxctl.operations.rebuild.model import Tools
        from outboxctl.operations.rebuild.run import alone

        with alone(db, chosen.name) as held, batches.stoppable() as stop:
            more |= {"size": self.settings.bulk_size, "patience": patience, "source": chosen.source}
            yield Tools(db, client, held, stop, **more)


def _left(connection: "Connection", name: str, *, under_way: bool) -> str | None:
    """The alias of a rebuild that is left of a projection; None where the index in force has one itself."""
    from outboxctl.core.operator import rebuilds
    from outboxctl.core.projections import choosing

    aliases = [row.alias for row in rebuilds.left(connection, name, under_way=under_way)]
    own = {each.index for each in choosing.declared(connection) if each.name == name}
    return aliases[0] if aliases and not own & {*aliases} else None

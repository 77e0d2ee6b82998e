"""The index that a command about rebuilds is for, both ends open, and what is asked before a change."""

from contextlib import closing, contextmanager
from dataclasses import dataclass
from enum import Enum, auto
from typing import TYPE_CHECKING, Annotated, Any

import typer

from outboxctl.cli import guards
from outboxctl.cli.options import DryRun, PipelineOptions, Yes, audited, print_progress
from outboxctl.cli.rebuild import view
from outboxctl.domain.errors import OutboxctlError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from outboxctl.core.database import Connection, Database
    from outboxctl.operations.rebuild.model import Tools
    from outboxctl.operations.rebuild.plan import RebuildPlan
    from outboxctl.operations.rebuild.source import DocumentSource
    from outboxctl.settings import Settings
    from outboxctl.sink.transport.client import Client

CONNECTIONS = 6  # the lock's, the row's, one to read with, and three of the comparison
OfProjection = Annotated[
    str | None,
    typer.Option(
        "--projection",
        help="The index of this projection [default: search_index's].",
    ),
]
KeepOld = Annotated[str, typer.Option(help="How long the old index is kept: 24h, 7d.")]
Patience = Annotated[
    float, typer.Option(min=0, max=86_400, help="Seconds that the search engine may be unreachable.")
]


@dataclass(frozen=True, kw_only=True)
class IndexOptions(PipelineOptions):
    """Of a command that changes which indexes there are."""

    projection: OfProjection = None
    by: Annotated[str | None, typer.Option(help="Who does it [default: the login name].")] = None
    reason: Annotated[
        str | None, typer.Option(help="Why (goes into the audit) [default: the command's name].")
    ] = None
    yes: Yes = False
    dry_run: DryRun = False


class Left(Enum):
    """Of what is left of a projection's rebuilds: those under way, or with a kept index, too."""

    UNDER_WAY = auto()
    ANY = auto()


@dataclass(frozen=True)
class Chosen:
    """The index or alias that is rebuilt, and what from; `gone`: no projection in force has it any more."""

    name: str
    source: "DocumentSource"
    gone: bool = False


@contextmanager
def session(options: IndexOptions, name: str) -> "Iterator[IndexSession]":
    """What the command of that name works in. The hints of its errors name the projection, too."""
    who = audited(options.by, name if options.reason is None else options.reason)
    try:
        yield IndexSession(options, options.settings(), who)
    except OutboxctlError as error:
        error.hint = view.of_projection(error.hint, options.projection)
        raise


@dataclass(frozen=True)
class IndexSession:
    """A command about the rebuilds of an index: its options, and what the audit is told."""

    options: IndexOptions
    settings: "Settings"
    who: dict[str, str]

    def carry_out(
        self,
        db: "Database",
        client: "Client",
        chosen: Chosen,
        plan: "RebuildPlan",
        *,
        grace: float,
        patience: float,
        allow_failures: bool = True,
        keep_failed: bool = False,
    ) -> None:
        """Show the plan, or carry it out; the old index is kept for `grace` seconds. Ends the command."""
        from outboxctl.operations.rebuild.run import apply

        if self.options.dry_run:
            view.plan(plan, json=self.options.json)
            return
        self.confirm(db, plan.words)
        more: dict[str, Any] = {"patience": patience, "allow_failures": allow_failures}
        with (
            view.screen(plan.entities, json=self.options.json) as (say, advance),
            self.tools(db, client, chosen, **more, say=say, advance=advance) as tools,
        ):
            done = apply(tools, plan, **self.who, grace_seconds=grace, keep_failed=keep_failed)
        raise typer.Exit(view.report(done, self.options.projection, json=self.options.json))

    def confirm(self, db: "Database", what: str) -> None:
        """Ask before the change. Raises UsageError."""
        guards.refuse_if_read_only(self.settings, what)
        guards.confirm(self.settings, db, what, yes=self.options.yes, always=True)

    @contextmanager
    def opened(self, left: "Left | None" = None) -> "Iterator[tuple[Database, Client, Chosen]]":
        """The database, the search engine, and the index that is meant."""
        from outboxctl.sink.transport.open import connect

        if not self.options.dry_run:
            what = self.options.projection or self.settings.elastic_index
            guards.refuse_if_read_only(self.settings, f"rebuild {what}")
        with (
            closing(connect(self.settings)) as client,
            guards.checked_database(self.settings, connections=CONNECTIONS) as db,
        ):
            with db.begin() as connection:
                chosen = choose(self.settings, self.options.projection, connection, left)
            yield db, client, chosen

    @contextmanager
    def tools(
        self, db: "Database", client: "Client", chosen: Chosen, *, patience: float = 0.0, **more: Any
    ) -> "Iterator[Tools]":
        """What a rebuild works with, while no other one of this index runs."""
        from outboxctl.operations import batches
        from outboxctl.operations.rebuild.model import Tools
        from outboxctl.operations.rebuild.run import alone

        with alone(db, chosen.name) as held, batches.stoppable() as stop:
            more |= {"size": self.settings.bulk_size, "patience": patience, "source": chosen.source}
            yield Tools(db, client, held, stop, **more)


def choose(
    settings: "Settings", projection: str | None, connection: "Connection", left: "Left | None" = None
) -> Chosen:
    """The index of the projection that is named, or ELASTIC_INDEX unless that is a projection's.

    With `left` also one that the projection had when a rebuild of it was left.
    """
    from outboxctl.core.projections import choosing
    from outboxctl.domain.lifecycle import PROJECTION
    from outboxctl.operations.projection.known import named
    from outboxctl.operations.rebuild.projected import ProjectionSource
    from outboxctl.operations.rebuild.search_index import SearchIndex

    if projection not in {None, PROJECTION}:
        name = str(projection)
        if left and (alias := _left(connection, name, under_way=left is Left.UNDER_WAY)):
            return Chosen(alias, SearchIndex(), gone=True)
        known = named(connection, name)
        return Chosen(known.index, ProjectionSource(known, print_progress))
    index = settings.elastic_index
    owner = next((each.name for each in choosing.declared(connection) if each.index == index), None)
    if owner:
        raise UsageError(f"{index} is the index of the projection {owner}", hint=f"add --projection {owner}")
    return Chosen(index, SearchIndex())


def _left(connection: "Connection", name: str, *, under_way: bool) -> str | None:
    """The alias of a rebuild that is left of a projection; None where the index in force has one itself."""
    from outboxctl.core.operator import rebuilds
    from outboxctl.core.projections import choosing

    aliases = [row.alias for row in rebuilds.left(connection, name, under_way=under_way)]
    own = {each.index for each in choosing.declared(connection) if each.name == name}
    return aliases[0] if aliases and not own & {*aliases} else None

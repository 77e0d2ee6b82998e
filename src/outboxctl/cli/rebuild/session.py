"""The index that a command about rebuilds is for, both ends open, and what is asked before a change."""

from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import Any

from outboxctl.cli import guards
from outboxctl.cli.options import audited, print_progress, settings
from outboxctl.cli.rebuild import view
from outboxctl.core.database import Connection, Database
from outboxctl.core.delivery import places
from outboxctl.core.documents.source import DocumentSource
from outboxctl.core.documents.table import TableSource
from outboxctl.core.operator import rebuilds
from outboxctl.core.projections import in_force
from outboxctl.domain.errors import ExitCode, OutboxctlError, UsageError
from outboxctl.domain.index_names import may_meet
from outboxctl.domain.lifecycle import PROJECTION
from outboxctl.domain.printable import brief
from outboxctl.domain.projection import Projection, shown_value
from outboxctl.operations import batches
from outboxctl.operations.projection.known import named, sharing, source_of
from outboxctl.operations.projection.parts import parts
from outboxctl.operations.rebuild.model import Tools
from outboxctl.operations.rebuild.plan import RebuildPlan
from outboxctl.operations.rebuild.run import alone, apply
from outboxctl.settings import Settings
from outboxctl.sink.transport.client import Client
from outboxctl.sink.transport.open import connect

CONNECTIONS = 6  # the lock's, the row's, one to read with, and three of the comparison


@dataclass(frozen=True)
class Chosen:
    """The index or alias that is rebuilt, and what from; `gone`: no projection in force has it any more."""

    name: str
    sources: Sequence[DocumentSource]
    gone: bool = False


@dataclass(frozen=True)
class IndexSession:
    """A command about the rebuilds of an index: both ends, its options, and what the audit is told."""

    settings: Settings
    db: Database
    client: Client
    chosen: Chosen
    who: dict[str, str]
    projection: str | None
    yes: bool

    def carry_out(
        self,
        plan: RebuildPlan,
        *,
        grace: float,
        patience: float,
        dry_run: bool,
        json: bool,
        allow_failures: bool = True,
    ) -> int:
        """Show the plan, or carry it out, and keep the old index for `grace` seconds; the exit code."""
        if dry_run:
            view.plan(plan, json=json)
            return ExitCode.OK
        self.confirm(plan.words)
        more: dict[str, Any] = {"patience": patience, "allow_failures": allow_failures}
        with (
            view.screen(plan.entities, json=json) as (say, advance),
            self.tools(**more, say=say, advance=advance) as tools,
        ):
            done = apply(tools, plan, **self.who, grace_seconds=grace)
        return view.report(done, self.projection, json=json)

    def confirm(self, what: str) -> None:
        """Ask before the change. Raises UsageError."""
        guards.confirm(self.settings, self.db, what, yes=self.yes, always=True)

    @contextmanager
    def tools(self, *, patience: float = 0.0, **more: Any) -> Iterator[Tools]:
        """What a rebuild works with, while no other one of this index runs."""
        with alone(self.db, self.chosen.name) as held, batches.stoppable() as stop:
            first, *beside = self.chosen.sources
            more |= {"size": self.settings.bulk_size, "patience": patience}
            yield Tools(self.db, self.client, held, stop, source=first, beside=beside, **more)


def members(projection: str | None) -> Sequence[str | None]:
    """The projections that a name stands for, of those with one index the first, or their parts.

    Of none, search_index's: itself. Raises UsageError where there is no index.
    """
    if projection is None:
        return [None]
    configured, found = settings(), list[str]()
    with closing(connect(configured)) as client, guards.reading(configured) as connection:
        indexes = {each.name: each.index for each in in_force.declared(connection)}
        first: dict[str | None, str] = {}
        for name in in_force.members(connection, projection):
            first.setdefault(indexes.get(name), name)
        for name in first.values():
            each = named(connection, name, configured.elastic_index)
            _require_value(connection, client, each)
            found += [part.chosen_by or name for part in parts(connection, client, each).found]
    if not found:
        raise UsageError(f"{projection} has no index yet: no row names one")
    return found


def _require_value(connection: Connection, client: Client, part: Projection) -> None:
    """Raise UsageError for a part of which there is no row, no index and no document."""
    if not part.value or places.known(connection, part.name, part.index):
        return
    whole = named(connection, part.name)
    there = {each.index: each.value for each in parts(connection, client, whole).found}
    if part.index not in there:
        hint = f"there are: {brief(', '.join(there.values()) or 'none', 500)}"
        raise UsageError(f"no row has {shown_value(part.value)} for its {whole.column}", hint=hint)


@contextmanager
def opened(
    name: str,
    projection: str | None,
    by: str | None,
    reason: str | None,
    *,
    dry_run: bool,
    yes: bool,
    left: bool = False,
) -> Iterator[IndexSession]:
    """What the command of that name works in. The hints of its errors name the projection, too."""
    who, configured = audited(by, name if reason is None else reason), settings()
    if not dry_run:
        guards.refuse_if_read_only(configured, f"{name} {projection or configured.elastic_index}")
    try:
        with (
            closing(connect(configured)) as client,
            guards.checked_database(configured, connections=CONNECTIONS) as db,
        ):
            with db.begin() as connection:
                chosen = choose(configured, projection, connection, left=left)
            yield IndexSession(configured, db, client, chosen, who, projection, yes)
    except OutboxctlError as error:
        error.hint = view.of_projection(error.hint, projection)
        raise


def choose(
    settings: Settings, projection: str | None, connection: Connection, *, left: bool = False
) -> Chosen:
    """The index of the projection that is named, or ELASTIC_INDEX unless that is a projection's.

    With `left` also one that the projection had when a rebuild of it was interrupted, or kept an index.
    """
    name, index = projection or PROJECTION, settings.elastic_index
    if name != PROJECTION:
        if left and (alias := _left(connection, name)):
            return Chosen(alias, [TableSource()], gone=True)
    elif owner := next((each.name for each in in_force.declared(connection) if each.index == index), None):
        raise UsageError(f"{index} is the index of the projection {owner}", hint=f"add --projection {owner}")
    known = named(connection, name, index)
    if known.parted:
        hint = f"name one: --projection {known.name}:VALUE"
        raise UsageError(f"{known.name} has an index for each {known.column}", hint=hint)
    return Chosen(known.index, [source_of(each, print_progress) for each in sharing(connection, known)])


def _left(connection: Connection, name: str) -> str | None:
    """The alias of a rebuild that is left of a projection; None where the index in force has one itself."""
    aliases = [row.alias for row in rebuilds.left(connection, name)]
    own = [each.index for each in in_force.declared(connection) if each.name == name]
    known = any(may_meet(index, each) for index in own for each in aliases)
    return aliases[0] if aliases and not known else None

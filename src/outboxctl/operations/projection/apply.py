"""Putting a plan in force: the index first, then everything in the database in one transaction."""

from collections.abc import Callable, Collection, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from functools import partial
from typing import TypeVar

from outboxctl.core.database import Database
from outboxctl.core.operator import audit
from outboxctl.core.projections import changes, in_force
from outboxctl.core.projections.trigger_names import tables_of
from outboxctl.core.schema.lock_wait import with_lock_retries
from outboxctl.core.search_path import quoted
from outboxctl.core.sql import Connection
from outboxctl.domain.printable import brief
from outboxctl.domain.projection import Projection
from outboxctl.operations.projection import schemas
from outboxctl.operations.projection.declaration import Declaration
from outboxctl.operations.projection.drop import Dropped, drop
from outboxctl.operations.projection.plan import plan, require_own_indexes
from outboxctl.operations.projection.resolved import Planned, PlanStep
from outboxctl.sink.index import lifecycle
from outboxctl.sink.index.index_setup import ensure
from outboxctl.sink.transport.client import Client

T = TypeVar("T")
Progress = Callable[
    [str, int], AbstractContextManager[Callable[[int], None]]
]  # a label, and how much there is
IN_DATABASE = ("view", "triggers", "declaration", "documents")


@dataclass(frozen=True)
class Applied:
    """What was done, and what is left (`rebuild`); no audit id where nothing had to be done.

    `gone` are projections that were dropped: their schema is gone.
    """

    planned: list[Planned]
    steps: dict[str, list[PlanStep]] = field(default_factory=dict)
    audit_id: str | None = None
    gone: list[Dropped] = field(default_factory=list)


@dataclass(frozen=True)
class Applying:
    """What an `apply` works with, and who does it, why.

    `built_in` and `with_triggers` as `plan` has them. Each transaction waits for locks for `patience`
    seconds, and reports which.
    """

    database: Database
    client: Client
    by: str
    reason: str
    built_in: str
    with_triggers: bool | None = None
    patience: float = 60.0
    report: Callable[[str], None] = lambda _: None
    progress: Progress = lambda _label, _total: nullcontext(lambda _: None)
    known: in_force.Kept = field(default_factory=in_force.Kept)

    def apply(self, declared: Sequence[Declaration]) -> Applied:
        """Do what `plan` says. Raises its errors, with nothing changed, LockedError where tables stay locked.

        An index is made, and gets new fields, before the database is changed: a mapping that the engine
        refuses puts nothing in force. What is made there and then not used is empty.
        Each schema of those that a declaration is for is a transaction: after a LockedError those before it
        are applied. Before the first one all that differ in their tables are planned (`schemas.unlike`).
        """
        groups, gone = self.expanded(declared)
        self.look(groups)
        done = list[Applied]()
        with self.progress("applying", len(groups)) as advance:
            for group in groups:
                done.append(self.carry_out(group))
                advance(1)
        return Applied(
            [planned for each in done for planned in each.planned],
            {name: steps for each in done for name, steps in each.steps.items()},
            next((each.audit_id for each in done if each.audit_id), None),
            [self.drop(each.name) for each in gone],
        )

    def expanded(self, declared: Sequence[Declaration]) -> tuple[list[list[Declaration]], list[Projection]]:
        """What is applied together, and what is dropped."""
        with self.database.begin() as connection:
            for line in schemas.left_out(connection, declared):
                self.report(line)
            groups = schemas.by_schema(schemas.expand(connection, declared))
            return groups, schemas.gone(connection, declared)

    def look(self, groups: Sequence[Sequence[Declaration]]) -> None:
        """Raise what keeps any of several groups from being applied. Nothing is changed."""
        if len(groups) == 1:
            return  # it is planned as a whole before it is done
        with self.database.begin() as connection:
            every = [declared for group in groups for declared in group]
            require_own_indexes(self.client, every, self.known.read(connection), self.built_in)
            unlike = schemas.unlike(connection, groups)
        for group in unlike:
            self._retried(partial(self._plan, declared=group))

    def carry_out(self, declared: Sequence[Declaration]) -> Applied:
        """Do what there is to do: the index first, then everything in the database in one transaction."""
        first: list[list[Planned]] = []
        tables: set[str] = set()

        def act(connection: Connection) -> Applied:
            made = [each.projection.index for planned in first for each in planned if each.new_index]
            planned = self._plan(connection, declared, made)
            first.append(planned)
            tables.update(_tables(planned))
            _prepare(self.client, planned)  # no table is locked while the sink is asked
            return _write(connection, planned, by=self.by, reason=self.reason)

        applied = self._retried(act, tables)
        return Applied(applied.planned, _joined(first[0], applied), applied.audit_id)

    def drop(self, name: str) -> Dropped:
        """Take a projection out of force whose schema is gone."""
        who = {"by": self.by, "reason": self.reason}
        return drop(self.database, name, **who, patience=self.patience, report=self.report)

    def _plan(
        self, connection: Connection, declared: Sequence[Declaration], new: Collection[str] = ()
    ) -> list[Planned]:
        options = {"built_in": self.built_in, "with_triggers": self.with_triggers, "known": self.known}
        planned = plan(connection, self.client, declared, **options, new_indexes=new)  # type: ignore[arg-type]
        for each in planned:
            _check_rights(connection, each)
        return planned

    def _retried(self, act: Callable[[Connection], T], tables: Collection[str] = ()) -> T:
        """Under the lock that two applies wait for."""
        return with_lock_retries(
            self.database, act, patience=self.patience, report=self.report, tables=tables
        )


def _check_rights(connection: Connection, planned: Planned) -> None:
    if any(step.what in ("view", "triggers") for step in planned.steps):
        wanted = tables_of(planned.projection) if planned.projection.triggers else ()
        changes.check_rights(connection, changes.outbox_schema(connection), wanted)


def _tables(planned: Sequence[Planned]) -> set[str]:
    every = {table for each in planned for table in tables_of(each.projection)}
    return {f"{quoted(table.schema)}.{quoted(table.name)}" for table in every}


def _prepare(client: Client, planned: Sequence[Planned]) -> None:
    """Make the indexes that are not there, and add fields to the mappings of others."""
    for each in planned:
        body = each.whole
        for index, fields in each.lacking.items():
            if fields:
                lifecycle.map_fields(client, index, fields)
            else:
                ensure(client, index, mappings=body["mappings"], settings=body["settings"])


def _write(connection: Connection, planned: list[Planned], *, by: str, reason: str) -> Applied:
    schema = changes.outbox_schema(connection)
    done = {each.projection.name: [s for s in each.steps if s.what in IN_DATABASE] for each in planned}
    names = [name for name, steps in done.items() if steps]
    if not names:
        return Applied(planned)
    for each in planned:
        if done[each.projection.name]:
            scripts = [*each.scripts, each.declare_sql(schema, by)]
            changes.run(connection, scripts)
    filters = {
        "projections": {name: [f"{s.what}: {brief(s.text, 200)}" for s in done[name]] for name in names}
    }
    act = audit.record(connection, "projection apply", by=by, reason=reason, filters=filters, ids=[])
    return Applied(planned, audit_id=act)


def _joined(first: Sequence[Planned], applied: Applied) -> dict[str, list[PlanStep]]:
    """The steps that were done: those in the index, of the first look, and those in the database."""
    steps = {}
    for before, after in zip(first, applied.planned, strict=True):
        index = [step for step in before.steps if step.what in ("index", "mapping")]
        steps[after.projection.name] = [*(s for s in after.steps if s.what in IN_DATABASE), *index]
    return steps

"""What `apply` would do: nothing is changed here, neither in the database nor in the index."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from outboxctl.core.projections import (
    catalog,
    changes,
    in_force,
    own_view,
    sweeps,
    trigger_check,
    triggers,
)
from outboxctl.core.projections.catalog import view_name
from outboxctl.core.projections.trigger_faults import TriggerFault
from outboxctl.core.projections.trigger_names import tables_of
from outboxctl.core.projections.trigger_users import beside_sql, shared
from outboxctl.core.projections.view_texts import definition
from outboxctl.core.sql.transaction import undone
from outboxctl.domain.printable import brief
from outboxctl.domain.projection import Projection, Relation
from outboxctl.operations.projection import mapping, own_index
from outboxctl.operations.projection.declaration import Declaration
from outboxctl.operations.projection.notices import Notice
from outboxctl.operations.projection.resolved import Resolved, resolve
from outboxctl.sink.index.named import Named, look_for_one

if TYPE_CHECKING:
    from outboxctl.core.database import Connection
    from outboxctl.sink.transport.client import Client

REBUILD = "outboxctl rebuild --projection {name} --by YOU --reason WHY"
# Documents of before stay where or as they were: only a new index is right.
ANEW = ("root", "key", "routing")
MOST = 10  # names in a sentence
HEAD = """\
-- Projections: {names}. Made by `outboxctl projection sql`.
-- Safe to run again. In one transaction: psql -v ON_ERROR_STOP=1 -1 -f FILE. An index is not made by this:
-- `outboxctl projection apply` does so, and finds nothing else to do.
"""


@dataclass(frozen=True)
class PlanStep:
    """One thing to do. `what`: view, triggers, declaration, documents, index, mapping or rebuild.

    `command` does what `apply` does not.
    """

    what: str
    text: str
    command: str = ""


@dataclass
class Planned:
    """What there is to do for one projection; `before` is what is in force, `scripts` changes the database.

    `beside`: the projections that are in force then, this one and those before it in the file among them.
    `lacking` are fields that the index's mapping gets, in place; `tampered` says what is not as it was put in
    force, so that documents may be wrong. `new_index`: it holds no document of before.
    """

    resolved: Resolved
    before: Projection | None
    beside: list[Projection]
    scripts: list[str] = field(default_factory=list)
    steps: list[PlanStep] = field(default_factory=list)
    lacking: dict[str, Any] = field(default_factory=dict)
    tampered: list[str] = field(default_factory=list)
    new_index: bool = False

    def declare_sql(self, schema: str, by: str | None) -> str:
        """SQL that puts it in force; `by` None: the login."""
        anyway, new = bool(self.tampered), self.new_index
        return sweeps.declare_sql(schema, self.projection, by, anyway=anyway, new_index=new)

    @property
    def projection(self) -> Projection:
        """As it will be in force."""
        return self.resolved.projection

    @property
    def tables(self) -> set[Relation]:
        """The root and the followed tables: each gets triggers."""
        return tables_of(self.projection)

    @property
    def notices(self) -> list[Notice]:
        """Warnings."""
        return self.resolved.notices


def plan(
    connection: "Connection",
    client: "Client | None",
    declared: Sequence[Declaration],
    *,
    built_in: str,
    with_triggers: bool | None = None,
    new_indexes: Collection[str] = (),
) -> list[Planned]:
    """What there is to do, in the order of the file; without a client the indexes are not looked at.

    `built_in` is the index of the built-in projection. `with_triggers` None: as the projection in force has
    it, and with triggers where none is in force. `new_indexes` were made since the first look. Raises
    UsageError for a schema that is behind, and for a declaration that cannot be applied.
    """
    with undone(connection):
        known = {each.name: each for each in in_force.read(connection)}
        own_index.check_names(declared, known.values(), built_in)
        both = [_resolved(connection, each, known.get(each.name), with_triggers) for each in declared]
        if client:
            own_index.check_behind(client, declared, known.values(), built_in)
        found, after = [], dict(known)
        for each, before in both:
            after[each.projection.name] = each.projection
            found.append(_planned(connection, client, Planned(each, before, [*after.values()]), new_indexes))
        return found


def _resolved(
    connection: "Connection", declared: Declaration, before: Projection | None, with_triggers: bool | None
) -> tuple[Resolved, Projection | None]:
    wanted = (before is None or before.triggers) if with_triggers is None else with_triggers
    schema = changes.outbox_schema(connection)
    return resolve(connection, declared, schema=schema, with_triggers=wanted), before


def _planned(
    connection: "Connection", client: "Client | None", planned: Planned, new_indexes: Collection[str]
) -> Planned:
    projection, before = planned.projection, planned.before
    _view(connection, planned)
    _triggers(connection, planned)
    if before != projection:
        changed = _changed(before, projection)
        planned.steps.append(
            PlanStep("declaration", f"put in force: {changed}" if before else "put in force")
        )
    home = look_for_one(client, projection.index) if client else None
    planned.new_index = projection.index in new_indexes or (home is not None and home.index is None)
    why = [*sweeps.reasons(before, projection), *planned.tampered]
    if why and not (planned.new_index and not sweeps.has_rows(connection, projection)):
        again = " again" if before else ""
        planned.steps.append(PlanStep("documents", f"every document is read{again}: {'; '.join(why)}"))
    if home:
        _index(home, planned)
    return planned


def _view(connection: "Connection", planned: Planned) -> None:
    """The view of a `query`; a view of this name that we have not made is not replaced."""
    declared, projection = planned.resolved.declaration, planned.projection
    schema, name = changes.outbox_schema(connection), view_name(projection.name)
    there = definition(connection, Relation(schema, name))
    own = planned.before is not None and planned.before.document == Relation(schema, name)
    if not declared.query:
        if own:
            planned.steps.append(PlanStep("view", f"drop the view {schema}.{name}"))
            planned.scripts.append(own_view.drop_sql(schema, projection.name))
        return
    if there and not own:
        declared.place.at("query").fail(
            f"{schema}.{name} is there already, and no projection in force has made it",
            "drop it, or give it another name",
        )
    if there != projection.view:
        verb = "replace" if there else "create"
        planned.steps.append(PlanStep("view", f"{verb} the view {schema}.{name}"))
        if planned.before and planned.before.view == projection.view:
            planned.tampered.append(f"somebody changed the view {schema}.{name}")
    was = own_view.shape(connection, schema, name)
    new = own_view.shape(connection, planned.resolved.looked_at.schema, name)
    anew = new[: len(was)] != was
    planned.scripts.append(own_view.create_sql(schema, projection.name, declared.query, anew=anew))


def _triggers(connection: "Connection", planned: Planned) -> None:
    projection, before = planned.projection, planned.before
    # Of a projection that is new all are missing: the tables say as much.
    wrong = trigger_check.installed(connection, projection, in_force.read(connection))
    former = {each.table for each in wrong if each.fault is TriggerFault.STRAY}
    former |= tables_of(before) if before and before.triggers else set()
    tables = shared(connection, projection, planned.beside, former)
    rows = catalog.row_level(connection, [each.table for each in tables])
    schema = changes.outbox_schema(connection)
    planned.scripts.append(triggers.sql(projection.name, tables, schema, rows))
    if not projection.triggers:
        if (before and before.triggers) or wrong:
            planned.steps.append(PlanStep("triggers", "dropped: the application calls outboxctl.touch"))
    elif before and wrong and _watched(before) == _watched(projection):
        named = (f"{each.fault} on {each.table} ({each.name})" for each in wrong[:MOST])
        planned.steps.append(PlanStep("triggers", brief("; ".join(named), 500)))
        if any(each.fault.misses_changes for each in wrong):
            planned.tampered.append("changes may not have been seen by these triggers")
    elif wrong:
        differing = sorted({str(each.table) for each in wrong})
        planned.steps.append(PlanStep("triggers", f"on {brief(', '.join(differing), 300)}"))


def _watched(projection: Projection) -> tuple[object, ...]:
    """What triggers depend on."""
    return (projection.root, projection.key, projection.columns, projection.follow, projection.triggers)


def _changed(before: Projection | None, after: Projection) -> str:
    old, new = before.to_json() if before else {}, after.to_json()
    return ", ".join(name for name in new if old.get(name) != new[name])


def _index(home: Named, planned: Planned) -> None:
    projection, wanted = planned.projection, planned.resolved.body["mappings"]
    if home.index is None:
        planned.steps.append(PlanStep("index", f"create {projection.index}-000001 behind {projection.index}"))
        return
    compared = mapping.compare(wanted, home.first.mapping)
    planned.lacking.update(compared.lacking)
    if compared.lacking:
        names = brief(", ".join(compared.lacking), 300)
        planned.steps.append(PlanStep("mapping", f"added in place to {home.index}: {names}"))
    reasons = [*_anew(planned), *compared.rebuild]
    if reasons:
        why = "; ".join(reasons[:MOST])
        command = REBUILD.format(name=projection.name)
        planned.steps.append(PlanStep("rebuild", f"needs a rebuild: {why}", command))


def _anew(planned: Planned) -> list[str]:
    before, after = planned.before, planned.projection
    if before is None:
        return []
    return [f"{name} changes" for name in ANEW if getattr(before, name) != getattr(after, name)]


def script(connection: "Connection", planned: Sequence[Planned]) -> str:
    """SQL for psql that leaves in the database what `apply` leaves, whatever is in force already.

    It is refused where others use its tables than did here.
    """
    schema, names = changes.outbox_schema(connection), [each.projection.name for each in planned]
    tables = {table for each in planned for table in each.tables}
    beside = beside_sql(connection, schema, names, tables)
    parts = [HEAD.format(names=", ".join(names)), changes.BEGIN, beside]
    for each in planned:
        parts += [*each.scripts, each.declare_sql(schema, None).lstrip()]
    return "\n".join([*parts, changes.END])

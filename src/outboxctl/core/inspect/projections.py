"""What the database has of each declared projection: its view and its triggers."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from outboxctl.core.inspect.rights import PREFIX, may
from outboxctl.core.projections import catalog, dependencies, in_force, json_casts, scratch, trigger_check
from outboxctl.core.projections.catalog import is_own_view
from outboxctl.core.projections.changes import ViewOwners, outbox_schema, owners
from outboxctl.core.projections.fields import Field, fields, parameter_types
from outboxctl.core.projections.trigger_check import TriggerProblem
from outboxctl.core.projections.view_texts import definition
from outboxctl.core.refused_reads import DENIED
from outboxctl.core.schema.names import EVENTS
from outboxctl.core.schema.roles import Role
from outboxctl.core.sql import Connection, text
from outboxctl.core.sql.kept import keeping
from outboxctl.domain.errors import UsageError
from outboxctl.domain.projection import Follow, Projection, Relation

# A right is granted to the group, if the login is in one: its other logins need it, too.
ROLE = text("""
SELECT coalesce((SELECT quote_ident(rolname) FROM pg_roles, unnest(CAST(:groups AS text[]))
    WITH ORDINALITY AS g (name, place) WHERE rolname = g.name AND pg_has_role(oid, 'MEMBER')
    ORDER BY g.place LIMIT 1), quote_ident(current_user))
""")
READABLE = text(f"""
SELECT has_schema_privilege(n.oid, 'USAGE') AND has_table_privilege(c.oid, 'SELECT') FROM {catalog.RELATION}
""")


class RefusedKeys(NamedTuple):
    """A followed table whose `keys` query is refused, and why; `denied`: for want of a right."""

    follow: Follow
    why: str
    denied: bool


@dataclass(frozen=True)
class ProjectionFacts:
    """One projection in force; `role`: to whom rights are granted, this session's group or role, in SQL.

    Without its view (`there`) nothing else of the view is known; without the right to read it (`readable`)
    neither its columns, whether it is `edited`, nor what is `refused`.
    `changing` are functions of the view whose result changes by itself, `hidden` tables whose rows are hidden
    by row level security, `foreign_cast` a cast to json of another role, `refused` the `keys` that this
    login, if it is a worker's, cannot use. `owners`: those of a view that `apply` made, and of the outbox.
    `edited`: the view is not as it was when the projection was applied. `unfollowed`: tables that it reads
    now, and that the projection neither follows nor ignores; the root where an edited view reads it twice.
    """

    projection: Projection
    role: str
    there: bool
    readable: bool = False
    edited: bool = False
    changing: list[str] = field(default_factory=list)
    hidden: list[Relation] = field(default_factory=list)
    foreign_cast: str | None = None
    columns: list[Field] = field(default_factory=list)
    refused: list[RefusedKeys] = field(default_factory=list)
    unfollowed: list[Relation] = field(default_factory=list)
    triggers: list[TriggerProblem] = field(default_factory=list)
    owners: ViewOwners | None = None

    @property
    def lacks(self) -> list[str]:
        """Columns by which documents are read, and which the view does not have, as after a rename."""
        p, there = self.projection, {each.name for each in self.columns}
        by = [*(each.name for each in p.key), p.routing, p.version, p.column]
        return [name for name in dict.fromkeys(by) if name and name not in there] if self.readable else []


def projections(connection: Connection, names: Collection[str] | None = None) -> list[ProjectionFacts]:
    """Read the facts of the projections in force, all or those of these names; none on an older schema."""
    declared = in_force.declared(connection)
    groups = [PREFIX + each for each in (Role.WORKER, Role.OPERATOR, Role.VIEWER)]
    role = str(connection.execute(ROLE, {"groups": groups}).scalar_one())
    with keeping(connection):
        return [
            _facts(connection, each, declared, role)
            for each in declared
            if names is None or each.name in names
        ]


def declared_columns(connection: Connection) -> list[tuple[Projection, list[Field]]]:
    """The projections in force with the columns of their views, of which this role may read them."""
    found = [(each, catalog.of(each.document)) for each in in_force.declared(connection)]
    return [
        (each, fields(connection, each.document) if connection.execute(READABLE, of).scalar() else [])
        for each, of in found
    ]


def _facts(
    connection: Connection, projection: Projection, declared: Sequence[Projection], role: str
) -> ProjectionFacts:
    view = projection.document
    problems = trigger_check.installed(connection, projection, declared)
    if catalog.kind(connection, view) is None:
        return ProjectionFacts(projection, role, there=False, triggers=problems)
    readable = bool(connection.execute(READABLE, catalog.of(view)).scalar())
    own_view = is_own_view(projection.name, view, outbox_schema(connection))
    edited = readable and bool(projection.view) and definition(connection, view) != projection.view
    covered = {*(each.table for each in projection.follow), *projection.ignore}
    if not edited or dependencies.occurrences(connection, view, projection.root) <= 1:
        covered.add(projection.root)
    return ProjectionFacts(
        projection,
        role,
        there=True,
        readable=readable,
        edited=edited,
        changing=dependencies.volatile(connection, view),
        hidden=dependencies.row_security(connection, view),
        foreign_cast=json_casts.foreign_cast(connection, view),
        columns=fields(connection, view) if readable else [],
        refused=_refused(connection, projection) if readable else [],
        unfollowed=sorted({*dependencies.used(connection, view)} - covered, key=str)
        if projection.triggers
        else [],
        triggers=problems,
        owners=(own_view and owners(connection, view)) or None,
    )


def _refused(connection: Connection, projection: Projection) -> list[RefusedKeys]:
    if not may(connection, "UPDATE", EVENTS, "follow_cursor"):
        return []  # only a worker's login runs `keys`, and needs rights for that
    found = (_refusal(connection, each) for each in projection.follow if each.keys)
    return [each for each in found if each]


def _refusal(connection: Connection, follow: Follow) -> RefusedKeys | None:
    try:
        types = parameter_types(follow.parameters, fields(connection, follow.table))
        scratch.key_types(connection, follow.keys, types)
    except KeyError as error:
        return RefusedKeys(follow, f"{follow.table} has no column {error.args[0]}", denied=False)
    except UsageError as error:
        return RefusedKeys(follow, str(error), denied=getattr(error.__cause__, "sqlstate", None) == DENIED)
    return None

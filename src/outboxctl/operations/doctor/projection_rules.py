"""Rules for declared projections in the database, and for rebuilds that were interrupted."""

import re
from collections.abc import Iterable, Iterator, Sequence
from shlex import quote

from outboxctl.core.inspect.projections import ProjectionFacts
from outboxctl.core.operator.rebuilds import Rebuild
from outboxctl.core.projections.indexes import MissingIndex
from outboxctl.core.projections.trigger_check import TriggerFault, TriggerProblem
from outboxctl.core.refused_reads import NO_POLICY
from outboxctl.core.search_path import quoted
from outboxctl.domain.printable import brief
from outboxctl.domain.projection import Follow, Projection, Relation
from outboxctl.operations.doctor.model import ERROR, INFO, WARNING, Case, RuleGroup
from outboxctl.operations.doctor.remedies import apply
from outboxctl.settings import Settings

PROJECTIONS = RuleGroup("projections")
LOOKUPS = RuleGroup("indexes of followed tables")
REBUILDS = RuleGroup("rebuilds")
MOST = 3  # problems of triggers that are named


def _listed(names: Iterable[object]) -> str:
    return brief(", ".join(map(str, names)), 200)


def _named(problem: TriggerProblem) -> str:
    """The trigger, or the function with all that use it."""
    users = f", of {', '.join(problem.users)}" if len(problem.users) > 1 else ""
    return brief(f"{problem.name}{users}", 200)


def _grants(relations: Sequence[Relation], role: str) -> str:
    """What reading these needs."""
    schemas = ", ".join(dict.fromkeys(quoted(each.schema) for each in relations))
    names = ", ".join(f"{quoted(each.schema)}.{quoted(each.name)}" for each in relations)
    return f"GRANT USAGE ON SCHEMA {schemas} TO {role}; GRANT SELECT ON {names} TO {role}"


@PROJECTIONS.rule("projection-view-missing", ERROR)
def view_missing(each: ProjectionFacts, _: Settings) -> Iterator[Case]:
    """No document can be read: events of this projection wait as in an outage (config)."""
    if not each.there:
        p = each.projection
        yield f"The view {p.document} of the projection {p.name} is not there.", apply(p)


@PROJECTIONS.rule("projection-former-id", ERROR)
def former_id(each: ProjectionFacts, _: Settings) -> Iterator[Case]:
    """Documents would be written a second time, under their keys: events of this projection wait (config)."""
    p = each.projection
    if p.former_id:
        what = (
            f"The declaration of {p.name} in force has `id` ({p.former_id}), which is not supported any more."
        )
        yield what, f"{apply(p)} without `id`; then outboxctl rebuild --projection {p.name}"


@PROJECTIONS.rule("projection-former-root", ERROR)
def former_root(each: ProjectionFacts, _: Settings) -> Iterator[Case]:
    """The root has the key by other names than the view: events of this projection wait (config)."""
    p = each.projection
    if p.former_root_key:
        what = (
            f"The declaration of {p.name} in force has a view for its root: {p.root} by {p.former_root_key}."
        )
        yield what, f"{apply(p)} whose `root` is {p.root}, and whose view has these names for the key"


@PROJECTIONS.rule("projection-view-unreadable", ERROR)
def view_unreadable(each: ProjectionFacts, _: Settings) -> Iterator[Case]:
    """A worker of this role can read no document: events wait as in an outage (config)."""
    if each.there and not each.readable:
        view = each.projection.document
        what = f"The role {each.role} may not read {view}, the view of {each.projection.name}."
        yield what, _grants([view], each.role)
    p = each.projection
    for name in each.lacks:
        what = f"{p.document} cannot be read: column v.{name} does not exist."
        yield what, f"outboxctl projection plan FILE  # FILE declares {p.name}: how the view differs from it"


@PROJECTIONS.rule("projection-view-changed", WARNING)
def view_changed(each: ProjectionFacts, _: Settings) -> Iterator[Case]:
    """Tables and columns that only the new view reads are not followed, so documents become out of date."""
    if each.there and each.edited:
        p = each.projection
        yield f"The view {p.document} is not as it was when {p.name} was applied.", apply(p)


@PROJECTIONS.rule("projection-view-owner", WARNING)
def view_owner(each: ProjectionFacts, _: Settings) -> Iterator[Case]:
    """It reads with its owner's rights: a superuser's reads past row level security."""
    if each.owners and each.owners.view != each.owners.outbox:
        p, owners = each.projection, each.owners
        yield f"The view {p.document} of {p.name} belongs to {owners.view}, not to {owners.outbox}.", apply(p)


@PROJECTIONS.rule("projection-unfollowed", WARNING)
def unfollowed(each: ProjectionFacts, _: Settings) -> Iterator[Case]:
    """Changes of these tables write no event, so documents become out of date."""
    if each.unfollowed:
        p, names = each.projection, _listed(each.unfollowed)
        what = f"The view {p.document} of {p.name} reads {names}, which nothing follows or ignores."
        yield what, f"{apply(p)}, follows or ignores them"


@PROJECTIONS.rule("projection-view-volatile", WARNING)
def view_volatile(each: ProjectionFacts, _: Settings) -> Iterator[Case]:
    """Such a document changes without an event, so the index keeps an old one."""
    if each.changing:
        what = f"The view {each.projection.document} calls {_listed(each.changing)}."
        yield what, "keep the value in a column of a table that is followed"


@PROJECTIONS.rule("projection-rows-hidden", ERROR)
def rows_hidden(each: ProjectionFacts, _: Settings) -> Iterator[Case]:
    """A policy would run code of the table's owner as the worker: none is run, and events wait (config)."""
    for table in each.hidden:
        what = f"Row level security of {table} applies where {each.projection.document} reads it."
        yield what, f"ALTER ROLE … BYPASSRLS; {NO_POLICY}"


@PROJECTIONS.rule("projection-cast-to-json", ERROR)
def cast_to_json(each: ProjectionFacts, _: Settings) -> Iterator[Case]:
    """The cast would run code of the type's owner as the worker: it is not run, and events wait (config)."""
    if each.foreign_cast:
        what = f"{each.projection.document} cannot be read: {each.foreign_cast}."
        yield what, "ALTER FUNCTION … OWNER TO the outbox's owner; or drop the cast"


@PROJECTIONS.rule("projection-triggers", ERROR)
def triggers(each: ProjectionFacts, _: Settings) -> Iterator[Case]:
    """Changes write no event, or the wrong one, so documents become out of date."""
    others = (TriggerFault.ROW_BY_ROW, TriggerFault.NO_COLUMN)
    if wrong := [p for p in each.triggers if p.fault not in others]:
        named = "; ".join(f"{p.fault} on {p.table} ({_named(p)})" for p in wrong[:MOST])
        more = f" and {len(wrong) - MOST} more" if len(wrong) > MOST else ""
        p = each.projection
        repair = f"{apply(p)}, then: outboxctl verify --projection {p.name} --repair"
        yield f"Triggers of {p.name}: {named}{more}.", repair


@PROJECTIONS.rule("projection-column-missing", WARNING)
def column_missing(each: ProjectionFacts, _: Settings) -> Iterator[Case]:
    """Each change of such a table has all documents read again: none is out of date, and it is slow."""
    if gone := [f"{p.table}.{p.name}" for p in each.triggers if p.fault is TriggerFault.NO_COLUMN]:
        p = each.projection
        what = f"{p.name} follows columns that were renamed or dropped: {_listed(gone)}."
        yield what, f"name in its file what is there now, then: {apply(p)}"


@PROJECTIONS.rule("projection-row-by-row", INFO)
def row_by_row(each: ProjectionFacts, _: Settings) -> Iterator[Case]:
    """Partitions that are new since `apply`: no change is missed, and each row that is written costs more."""
    if slow := [p.table for p in each.triggers if p.fault is TriggerFault.ROW_BY_ROW]:
        p = each.projection
        yield f"Events of {p.name} are written row by row in {_listed(slow)}.", apply(p)


@PROJECTIONS.rule("projection-keys-refused", ERROR)
def keys_refused(each: ProjectionFacts, _: Settings) -> Iterator[Case]:
    """Documents behind a changed row are not found: its event waits, or fails."""
    p = each.projection
    for one in each.refused:
        what = f"The `keys` of {one.follow.table} in {p.name}: {brief(one.why, 300)}."
        other = f"give it another `keys`: {apply(p)}"
        yield what, f"{_keys_grants(p, one.follow, each.role)};  -- or {other}" if one.denied else other


def _keys_grants(p: Projection, followed: Follow, role: str) -> str:
    """What running the `keys` of a followed table needs."""
    words = {*re.findall(r"\w+", followed.keys)}
    known = dict.fromkeys([p.root, *(other.table for other in p.follow)])
    read = [table for table in known if {*re.findall(r"\w+", table.name)} <= words]
    return _grants(read, role) if read else f"GRANT SELECT on what it reads to {role}"


@LOOKUPS.rule("projection-follow-unindexed", WARNING)
def follow_unindexed(of: tuple[str, MissingIndex], _: Settings) -> Iterator[Case]:
    """Each document that is read, or each changed row, reads a whole table."""
    name, missing = of
    yield f"In {name} {missing.what} reads all of {missing.table}.", "; ".join(missing.sql)


@REBUILDS.rule("rebuild-interrupted-move", ERROR)
def interrupted(row: Rebuild, _: Settings) -> Iterator[Case]:
    """Its index may take no writes: its events wait, with their attempts, until it goes on or ends."""
    name = row.projections[0]
    options = f" --projection {quote(name)}" * bool(name)
    what = f"A {row.action} of {row.alias} was interrupted while it moved the alias."
    again = "index rollback" if row.action == "rollback" else "rebuild"
    yield what, f"outboxctl {again}{options} --yes  # or ends it: outboxctl index abort{options}"

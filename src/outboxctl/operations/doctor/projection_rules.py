"""Rules for declared projections in the database, and for rebuilds that were interrupted."""

from collections.abc import Iterator
from shlex import quote

from outboxctl.core.inspect.projections import ProjectionsFacts
from outboxctl.core.operator.rebuilds import Rebuild
from outboxctl.core.projections.indexes import MissingIndex
from outboxctl.core.projections.trigger_check import TriggerFault, TriggerProblem
from outboxctl.core.search_path import quoted
from outboxctl.domain.printable import brief
from outboxctl.domain.projection import Relation
from outboxctl.operations.doctor.model import ERROR, INFO, WARNING, Case, RuleGroup
from outboxctl.operations.doctor.remedies import apply
from outboxctl.settings import Settings

PROJECTIONS = RuleGroup("projections")
LOOKUPS = RuleGroup("indexes of followed tables")
REBUILDS = RuleGroup("rebuilds")
MOST = 3  # problems of triggers that are named


def _sql(relation: Relation) -> str:
    return f"{quoted(relation.schema)}.{quoted(relation.name)}"


def _named(problem: TriggerProblem) -> str:
    """The trigger, or the function with all that use it."""
    users = f", of {', '.join(problem.users)}" if len(problem.users) > 1 else ""
    return brief(f"{problem.name}{users}", 200)


@PROJECTIONS.rule("projection-view-missing", ERROR)
def view_missing(facts: ProjectionsFacts, _: Settings) -> Iterator[Case]:
    """No document can be read: events of this projection wait as in an outage (config)."""
    for each in facts.each:
        if not each.there:
            p = each.projection
            yield f"The view {p.document} of the projection {p.name} is not there.", apply(p)


@PROJECTIONS.rule("projection-view-unreadable", ERROR)
def view_unreadable(facts: ProjectionsFacts, _: Settings) -> Iterator[Case]:
    """A worker of this role can read no document: events wait as in an outage (config)."""
    for each in facts.each:
        if each.there and not each.readable:
            view = each.projection.document
            may_use = f"GRANT USAGE ON SCHEMA {quoted(view.schema)} TO {facts.role}"
            mend = f"{may_use}; GRANT SELECT ON {_sql(view)} TO {facts.role}"
            yield f"The role {facts.role} may not read {view}, the view of {each.projection.name}.", mend


@PROJECTIONS.rule("projection-view-changed", WARNING)
def view_changed(facts: ProjectionsFacts, _: Settings) -> Iterator[Case]:
    """Tables and columns that only the new view reads are not followed, so documents become out of date."""
    for each in facts.each:
        if each.there and each.edited:
            p = each.projection
            yield f"The view {p.document} is not as it was when {p.name} was applied.", apply(p)


@PROJECTIONS.rule("projection-unfollowed", WARNING)
def unfollowed(facts: ProjectionsFacts, _: Settings) -> Iterator[Case]:
    """Changes of these tables write no event, so documents become out of date."""
    for each in facts.each:
        if each.unfollowed:
            p, names = each.projection, brief(", ".join(map(str, each.unfollowed)), 200)
            what = f"The view {p.document} of {p.name} reads {names}, which nothing follows or ignores."
            yield what, f"{apply(p)}, follows or ignores them"


@PROJECTIONS.rule("projection-view-volatile", WARNING)
def view_volatile(facts: ProjectionsFacts, _: Settings) -> Iterator[Case]:
    """Such a document changes without an event, so the index keeps an old one."""
    for each in facts.each:
        if each.changing:
            view, names = each.projection.document, brief(", ".join(each.changing), 200)
            yield f"The view {view} calls {names}.", "keep the value in a column of a table that is followed"


@PROJECTIONS.rule("projection-rows-hidden", WARNING)
def rows_hidden(facts: ProjectionsFacts, _: Settings) -> Iterator[Case]:
    """Rows that the worker may not see have no document."""
    for each in facts.each:
        for table in each.hidden:
            what = f"Row level security of {table} hides rows from {each.projection.document}."
            yield what, "give the view's owner a policy for all rows, or BYPASSRLS"


@PROJECTIONS.rule("projection-triggers", ERROR)
def triggers(facts: ProjectionsFacts, _: Settings) -> Iterator[Case]:
    """Changes write no event, or the wrong one, so documents become out of date."""
    for each in facts.each:
        if wrong := [p for p in each.triggers if p.fault is not TriggerFault.ROW_BY_ROW]:
            named = "; ".join(f"{p.fault} on {p.table} ({_named(p)})" for p in wrong[:MOST])
            more = f" and {len(wrong) - MOST} more" if len(wrong) > MOST else ""
            p = each.projection
            repair = f"{apply(p)}, then: outboxctl verify --projection {p.name} --repair"
            yield f"Triggers of {p.name}: {named}{more}.", repair


@PROJECTIONS.rule("projection-row-by-row", INFO)
def row_by_row(facts: ProjectionsFacts, _: Settings) -> Iterator[Case]:
    """Partitions that are new since `apply`: no change is missed, and each row that is written costs more."""
    for each in facts.each:
        if slow := [p.table for p in each.triggers if p.fault is TriggerFault.ROW_BY_ROW]:
            names = brief(", ".join(map(str, slow)), 200)
            yield (
                f"Events of {each.projection.name} are written row by row in {names}.",
                apply(each.projection),
            )


@LOOKUPS.rule("projection-follow-unindexed", WARNING)
def follow_unindexed(several: dict[str, list[MissingIndex]], _: Settings) -> Iterator[Case]:
    """Each document that is read, or each changed row, reads a whole table."""
    for name, missing in several.items():
        for each in missing:
            yield f"In {name} {each.what} reads all of {each.table}.", "; ".join(each.sql)


@PROJECTIONS.rule("projection-keys-refused", ERROR)
def keys_refused(facts: ProjectionsFacts, _: Settings) -> Iterator[Case]:
    """Documents behind a changed row are not found: its event waits, or fails."""
    for each in facts.each:
        for table, why in each.refused:
            mend = f"GRANT SELECT on what it reads to {facts.role}, or give it another `keys`: "
            what = f"The `keys` of {table} in {each.projection.name}: {brief(why, 300)}."
            yield what, mend + apply(each.projection)


@PROJECTIONS.rule("projection-other-server", INFO)
def other_server(facts: ProjectionsFacts, _: Settings) -> Iterator[Case]:
    """The database was restored or a standby promoted: a worker raises all versions before it sends."""
    if facts.other_server:
        what = "The versions of projections are those of another server or timeline."
        yield what, "outboxctl verify  # for what the restore lost"


@REBUILDS.rule("rebuild-interrupted-move", ERROR)
def interrupted(moves: list[Rebuild], _: Settings) -> Iterator[Case]:
    """Its index may take no writes: its events wait, with their attempts, until it goes on or ends."""
    for row in moves:
        name = row.body.get("projection", "")
        options = f" --projection {quote(name)}" * bool(name)
        what = f"A {row.action} of {row.alias} was interrupted while it moved the alias."
        again = "index rollback" if row.action == "rollback" else "rebuild"
        yield what, f"outboxctl {again}{options} --yes  # or ends it: outboxctl index abort{options}"

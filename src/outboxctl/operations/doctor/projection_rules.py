"""Rules for declared projections: view, triggers and versions in the database, the index at the sink."""

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from outboxctl.core.inspect.projections import ProjectionFacts, ProjectionsFacts
from outboxctl.core.projections.trigger_faults import TriggerFault
from outboxctl.core.sql.places import quoted
from outboxctl.domain.printable import brief
from outboxctl.domain.projection import Projection, Relation
from outboxctl.operations.doctor.copy_rules import EXPLAIN, few_copies, red_shards
from outboxctl.operations.doctor.model import ERROR, INFO, WARNING, Case, RuleGroup
from outboxctl.operations.doctor.remedies import index_setting, request
from outboxctl.operations.projection import mapping
from outboxctl.settings import Settings
from outboxctl.sink.inspect.indices import Named
from outboxctl.sink.roles import names_of

PROJECTIONS = RuleGroup("projections")
INDEXES = RuleGroup("indexes of projections")
APPLY = "outboxctl projection apply FILE --by YOU --reason WHY  # FILE declares {}"
MOST = 3  # problems of triggers that are named


@dataclass(frozen=True)
class IndexOfProjection:
    """A projection as the database has it, what its index is, and the rights there that a worker lacks.

    `shared`: other names that projections use, each with an index that both lead to.
    """

    facts: ProjectionFacts
    named: Named
    lacking: list[str]
    shared: list[tuple[str, str]] = field(default_factory=list)


def _sql(relation: Relation) -> str:
    return f"{quoted(relation.schema)}.{quoted(relation.name)}"


def _apply(projection: Projection) -> str:
    return APPLY.format(projection.name)


@PROJECTIONS.rule("projection-view-missing", ERROR)
def view_missing(facts: ProjectionsFacts, _: Settings) -> Iterator[Case]:
    """No document can be read: events of this projection wait as in an outage (config)."""
    for each in facts.each:
        if not each.there:
            p = each.projection
            yield f"The view {p.document} of the projection {p.name} is not there.", _apply(p)


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
            yield f"The view {p.document} is not as it was when {p.name} was applied.", _apply(p)


@PROJECTIONS.rule("projection-unfollowed", WARNING)
def unfollowed(facts: ProjectionsFacts, _: Settings) -> Iterator[Case]:
    """Changes of these tables write no event, so documents become out of date."""
    for each in facts.each:
        if each.unfollowed:
            p, names = each.projection, brief(", ".join(map(str, each.unfollowed)), 200)
            what = f"The view {p.document} of {p.name} reads {names}, which nothing follows or ignores."
            yield what, f"{_apply(p)}, follows or ignores them"


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
            named = "; ".join(f"{p.fault} on {p.table} ({p.name})" for p in wrong[:MOST])
            more = f" and {len(wrong) - MOST} more" if len(wrong) > MOST else ""
            p = each.projection
            repair = f"{_apply(p)}, then: outboxctl verify --projection {p.name} --repair"
            yield f"Triggers of {p.name}: {named}{more}.", repair


@PROJECTIONS.rule("projection-row-by-row", INFO)
def row_by_row(facts: ProjectionsFacts, _: Settings) -> Iterator[Case]:
    """Partitions that are new since `apply`: no change is missed, and each row that is written costs more."""
    for each in facts.each:
        if slow := [p.table for p in each.triggers if p.fault is TriggerFault.ROW_BY_ROW]:
            names = brief(", ".join(map(str, slow)), 200)
            yield (
                f"Events of {each.projection.name} are written row by row in {names}.",
                _apply(each.projection),
            )


@PROJECTIONS.rule("projection-follow-unindexed", WARNING)
def follow_unindexed(facts: ProjectionsFacts, _: Settings) -> Iterator[Case]:
    """Each document that is read, or each changed row, reads a whole table."""
    for each in facts.each:
        for missing in each.read:
            what = f"Reading a document of {each.projection.name} reads all of {missing.table}."
            yield what, "; ".join(missing.sql)
        for lookup in each.lookups:
            for missing in lookup.whole:
                finding = f"Finding the documents of {each.projection.name} behind a row of {lookup.table}"
                sql = "; ".join(missing.sql)
                mend = sql or "CREATE INDEX CONCURRENTLY on the columns that its `keys` compares"
                yield f"{finding} reads all of {missing.table}.", mend


@PROJECTIONS.rule("projection-keys-refused", ERROR)
def keys_refused(facts: ProjectionsFacts, _: Settings) -> Iterator[Case]:
    """Documents behind a changed row are not found: its event waits, or fails."""
    for each in facts.each:
        for lookup in each.lookups:
            if lookup.refused:
                of = f"{lookup.table} in {each.projection.name}"
                mend = f"GRANT SELECT on what it reads to {facts.role}, or give it another `keys`: "
                yield f"The `keys` of {of}: {brief(lookup.refused, 300)}.", mend + _apply(each.projection)


@PROJECTIONS.rule("projection-index-shared", ERROR)
def index_shared(facts: ProjectionsFacts, settings: Settings) -> Iterator[Case]:
    """Two projections overwrite and delete each other's documents."""
    counts = Counter([each.projection.index for each in facts.each] + [settings.elastic_index])
    for each in facts.each:
        p = each.projection
        if counts[p.index] > 1:
            what = f"The index {p.index} of {p.name} is another projection's, too."
            yield what, f"{_apply(p)}, with an index of its own"


@PROJECTIONS.rule("projection-other-server", INFO)
def other_server(facts: ProjectionsFacts, _: Settings) -> Iterator[Case]:
    """The database was restored or a standby promoted: a worker raises all versions before it sends."""
    if facts.other_server:
        what = "The versions of projections are those of another server or timeline."
        yield what, "outboxctl verify  # for what the restore lost"


@INDEXES.rule("projection-index-missing", ERROR)
def index_missing(each: IndexOfProjection, _: Settings) -> Iterator[Case]:
    """Its events end in index_unavailable; the worker never creates an index."""
    p = each.facts.projection
    if not each.named.indexes:
        yield f"There is no index or alias {p.index} of the projection {p.name}.", _apply(p)


@INDEXES.rule("projection-index-behind-alias", ERROR)
def index_behind_alias(each: IndexOfProjection, _: Settings) -> Iterator[Case]:
    """Two projections overwrite and delete each other's documents: their names lead to one index."""
    p = each.facts.projection
    for other, index in each.shared:
        what = f"The index {p.index} of {p.name} leads to {index}, and so does {other}, which is another's."
        yield what, f"{_apply(p)}, with an index of its own"


@INDEXES.rule("projection-rights", ERROR)
def sink_rights(each: IndexOfProjection, _: Settings) -> Iterator[Case]:
    """The sink refuses its deliveries (403), or the list of its documents after a TRUNCATE."""
    index = each.facts.projection.index
    if each.lacking:
        body = {"indices": [{"names": names_of(index), "privileges": each.lacking}]}
        mend = request("PUT", "_security/role/outboxctl", body) + "  # and give the user or key that role"
        yield f"The sink's user or key lacks {', '.join(each.lacking)} on {index}.", mend


@INDEXES.rule("projection-no-alias", INFO)
def no_alias(each: IndexOfProjection, _: Settings) -> Iterator[Case]:
    """Only an alias can be moved to a rebuilt index in one step, with no time without documents."""
    p = each.facts.projection
    if each.named.indexes and not each.named.alias:
        what = f"{p.index} of the projection {p.name} is an index, not an alias."
        yield what, f"outboxctl rebuild --projection {p.name}"


@INDEXES.rule("projection-index-unwritable", ERROR)
def index_unwritable(each: IndexOfProjection, _: Settings) -> Iterator[Case]:
    """Its events end in index_unavailable, write_blocked, or of a shard that is ill in unavailable."""
    p, index = each.facts.projection, each.named.writes_to
    if each.named.indexes and index is None:
        newest = each.named.indexes[-1].name
        action = {"add": {"index": newest, "alias": p.index, "is_write_index": True}}
        what = f"The alias {p.index} of the projection {p.name} has no write index."
        yield what, request("POST", "_aliases", {"actions": [action]})
    elif index and (index.closed or index.blocks):
        state = "closed" if index.closed else f"blocked: {', '.join(index.blocks)}"
        settings = {"index": {f"blocks.{block}": None for block in index.blocks}}
        open_, unblock = (
            request("POST", f"{index.name}/_open"),
            request("PUT", f"{index.name}/_settings", settings),
        )
        yield (
            f"The index {index.name} of the projection {p.name} is {state}.",
            open_ if index.closed else unblock,
        )
    elif index:
        mend = (
            f"{EXPLAIN}  # start the node that had it; without one: outboxctl rebuild --projection {p.name}"
        )
        yield from ((f"{text}; projection {p.name}.", mend) for text in red_shards(each.named, index))
        yield from few_copies(each.named, index)


@INDEXES.rule("projection-no-replica", WARNING)
def index_without_replica(each: IndexOfProjection, _: Settings) -> Iterator[Case]:
    """With the one node that holds it the index is gone until it is rebuilt."""
    index = each.named.writes_to
    if index and not index.replicas and each.named.data_nodes > 1:
        what = f"The index {index.name} of the projection {each.facts.projection.name} has no replica"
        mend = index_setting(index.name, number_of_replicas=1)
        yield f"{what} in a cluster of {each.named.data_nodes} data nodes.", mend


@INDEXES.rule("projection-mapping", WARNING)
def mapping_differs(each: IndexOfProjection, _: Settings) -> Iterator[Case]:
    """Searches of these fields find nothing, or not what was declared."""
    p, index = each.facts.projection, each.named.writes_to
    if index is None or not each.facts.columns:
        return
    wanted = mapping.body(each.facts.columns, json.loads(p.mapping) if p.mapping else {})["mappings"]
    compared = mapping.compare(wanted, index.mapping)
    if compared.lacking:
        names = brief(", ".join(compared.lacking), 300)
        yield f"The index {index.name} of the projection {p.name} lacks the fields {names}.", _apply(p)
    if compared.rebuild:
        why = brief("; ".join(compared.rebuild), 300)
        yield f"The mapping of {index.name} differs: {why}.", f"outboxctl rebuild --projection {p.name}"

"""What `apply` would do: nothing is changed here, neither in the database nor in the index."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace

from psycopg.sql import Identifier

from outboxctl.core.projections import catalog, changes, in_force, sweeps, trigger_check
from outboxctl.core.projections.catalog import Kind, view_name
from outboxctl.core.projections.trigger_check import TriggerFault
from outboxctl.core.projections.trigger_names import beside_sql, shared, tables_of
from outboxctl.core.projections.triggers import Triggers
from outboxctl.core.projections.view_texts import definition
from outboxctl.core.refused_reads import ReadRefusedError
from outboxctl.core.sql import Connection
from outboxctl.core.sql.kept import keeping
from outboxctl.core.sql.transaction import undone
from outboxctl.domain.errors import UsageError
from outboxctl.domain.index_names import BRACES
from outboxctl.domain.printable import brief, plain_sql
from outboxctl.domain.projection import Projection, Relation
from outboxctl.operations.projection import mapping, parts, sharing
from outboxctl.operations.projection.analysis.chains import same_text
from outboxctl.operations.projection.declaration import OWN_INDEX, TRIGGERS, Declaration, check_indexes
from outboxctl.operations.projection.notices import Notice
from outboxctl.operations.projection.place import shown
from outboxctl.operations.projection.resolved import Planned, resolve
from outboxctl.sink.engines import DENSE
from outboxctl.sink.index import alias
from outboxctl.sink.index.named import Index, Named, look_for_one
from outboxctl.sink.inspect.product import vectors
from outboxctl.sink.transport.client import Client

REBUILD = "outboxctl rebuild --projection {name} --by YOU --reason WHY"
# Documents of before stay where or as they were: only a new index is right.
ANEW = ("root", "key", "id_prefix", "routing")
TWO_KINDS = "it was {before}, and {index} has documents of that: versions of two kinds cannot be compared"
NEW_INDEX = "name a new `index` with it, or drop the projection, delete the index, and apply again"
BUILT_IN = "the built-in projection (ELASTIC_INDEX)"
NOT_OURS = 'name it otherwise; or, if it is this projection\'s: _meta: {{"outboxctl_projection": "{name}"}}'
MOST = 10  # names in a sentence
HEAD = """\
-- Projections: {names}. Made by `outboxctl projection sql`.
-- Safe to run again. In one transaction: psql -v ON_ERROR_STOP=1 -1 -f FILE. An index is not made by this:
-- `outboxctl projection apply` does so, and finds nothing else to do.
"""

DROP_HEAD = """\
-- Projections: {names}. Made by `outboxctl projection sql --drop-views`.
-- Run it, then your own migration, then `outboxctl projection apply FILE`, which creates the views again.
-- Until then the events of these projections wait, and no attempt is lost.
-- Views that outboxctl did not create are yours: they are not dropped here.
"""


def plan(
    connection: Connection,
    client: Client | None,
    declared: Sequence[Declaration],
    *,
    built_in: str,
    with_triggers: bool | None = None,
    new_indexes: Collection[str] = (),
    known: in_force.Kept | None = None,
) -> list[Planned]:
    """What there is to do, in the order of the file; without a client the indexes are not looked at.

    `built_in` is the index of the built-in projection. `with_triggers` None: as the file says, else as the
    projection in force has it, and with triggers where none is in force. `new_indexes` were made since the
    first look, `known` are the projections as they were read last.

    Raises UsageError for a schema that is behind, and for a declaration that cannot be applied.
    """
    with undone(connection), keeping(connection):
        there = (known or in_force.Kept()).read(connection)
        before_all = {each.name: each for each in there}
        schema = changes.outbox_schema(connection)
        engine = vectors(client) if client else DENSE
        found = []
        for each in declared:
            before = before_all.get(each.name)
            wanted = _with_triggers(each, before, with_triggers)
            found.append(resolve(connection, each, schema=schema, with_triggers=wanted, vectors=engine))
            found[-1].before = before
        require_own_indexes(client, declared, there, built_in)
        sharing.share(connection, found, there)
        beside = dict(before_all)
        for planned in found:
            beside[planned.projection.name] = planned.projection  # in force for those that follow in the file
            _view(connection, planned, schema)
            _triggers(connection, planned, schema, there, [*beside.values()])
            _documents(connection, client, planned, new_indexes)
        return found


def _with_triggers(declared: Declaration, before: Projection | None, flag: bool | None) -> bool:
    wanted = declared.events == TRIGGERS if declared.events else flag
    if flag not in (None, wanted):
        declared.place.at("events").fail(f"it is {shown(declared.events)}, and a flag says otherwise")
    return (before is None or before.triggers) if wanted is None else wanted


def require_own_indexes(
    client: Client | None, declared: Sequence[Declaration], before: Iterable[Projection], built_in: str
) -> None:
    """Raise UsageError for a declared index that is another projection's, by its name or behind an alias."""
    names = {each.name for each in declared}
    others = [(each.index, each.id_prefix, each.name) for each in before if each.name not in names]
    others.append((built_in, "", BUILT_IN))
    check_indexes(declared, others)
    own = {each.index: each.name for each in declared}
    owners = {index: owner for index, _, owner in others} | own
    # Of those whose index a column chooses the names say enough: what they make says whose it is.
    single, beside = ([name for name in some if not BRACES.search(name)] for some in (own, owners))
    behind = alias.leads_to(client, single, beside) if client else {name: set[str]() for name in beside}
    for each in (each for each in declared if not each.column):
        for other, index in alias.meeting(behind, each.index):
            name, owner = brief(each.index, 250), owners[other]
            what = f"{name} leads to {index}, which is the index of {owner} already, by {brief(other, 250)}"
            each.place.at("index").fail(what, OWN_INDEX)


def _documents(
    connection: Connection, client: Client | None, planned: Planned, new_indexes: Collection[str]
) -> None:
    """What is done after the database's objects are made: the declaration, and what its documents need."""
    projection, before = planned.projection, planned.before
    if before != projection:
        old, new = before.to_json() if before else {}, projection.to_json()
        names = [name for name in new if old.get(name) != new[name]]
        if before:
            names += ["id"] * bool(before.former_id) + ["root"] * bool(before.former_root_key)
        changed = ", ".join(names)
        planned.step("declaration", f"put in force: {changed}" if before else "put in force")
    homes = _homes(connection, client, planned) if client else []
    nothing = client is not None and all(home.index is None for home in homes)
    planned.new_index = projection.index in new_indexes or nothing
    if before and not planned.new_index:
        _require_one_kind(planned, before)
    why = [*sweeps.reasons(before, projection), *planned.tampered]
    if why and not (planned.new_index and not sweeps.has_rows(connection, projection)):
        planned.step("documents", f"every document is read{' again' * bool(before)}: {'; '.join(why)}")
    for home in homes:
        _index(home, planned)


def _homes(connection: Connection, client: Client, planned: Planned) -> list[Named]:
    """The index of each part. Of a view that cannot be read those that are there: workers make the others."""
    looked_at = replace(planned.projection, document=planned.looked_at)
    try:
        whole = parts.parts(connection, client, looked_at)
        found, foreign = whole.found, whole.foreign
        if whole.nowhere:
            values = brief(", ".join(whole.nowhere), 300)
            text = parts.NOWHERE.format(column=looked_at.column, values=values)
            planned.notices.append(Notice(text, "correct these rows: their documents are in no index"))
    except ReadRefusedError:
        found, foreign = parts.there(client, looked_at), list[str]()
    except UsageError as error:
        planned.declaration.place.at("index").fail(str(error), error.hint)
    if foreign:
        what = f"{brief(', '.join(foreign), 300)} is there, and does not say whose it is"
        planned.declaration.place.at("index").fail(what, NOT_OURS.format(name=looked_at.name))
    return [look_for_one(client, each.index) for each in found]


def _require_one_kind(planned: Planned, before: Projection) -> None:
    """Raise UsageError where versions of two kinds would meet in one index."""
    projection = planned.projection
    if before.index == projection.index and before.version != projection.version:
        was = shown(before.version) if before.version else "not set"
        what = TWO_KINDS.format(before=was, index=brief(projection.index, 250))
        planned.declaration.place.at("version").fail(what, NEW_INDEX)


def _view(connection: Connection, planned: Planned, schema: str) -> None:
    """The view of a `query`; a view of this name that we have not made is not replaced."""
    declared, projection = planned.declaration, planned.projection
    name = view_name(projection.name)
    there = definition(connection, Relation(schema, name))
    own = planned.before is not None and planned.before.document == Relation(schema, name)
    if not declared.query:
        if own:
            planned.step("view", f"drop the view {schema}.{name}")
            planned.scripts.append(changes.drop_sql(schema, projection.name))
        return
    if there and not own:
        declared.place.at("query").fail(
            f"{schema}.{name} is there already, and no projection in force has made it",
            "drop it, or give it another name",
        )
    _view_rights(connection, planned, Relation(schema, name))
    if there != projection.view:
        verb = "replace" if there else "create"
        planned.step("view", f"{verb} the view {schema}.{name}")
        if planned.before and planned.before.view == projection.view:
            what = f"somebody {'changed' if there else 'dropped'} the view {schema}.{name}"
            planned.tampered.append(what)
    was = changes.shape(connection, schema, name)
    new = changes.shape(connection, planned.looked_at.schema, name)
    anew = new[: len(was)] != was
    planned.scripts.append(changes.create_sql(schema, projection.name, declared.query, anew=anew))


def _view_rights(connection: Connection, planned: Planned, view: Relation) -> None:
    """Add a step where a view that is there has another owner than the outbox, or wrong grants."""
    owners = changes.owners(connection, view)
    if owners and owners.view != owners.outbox:
        planned.step("view", f"change the owner of the view {view} from {owners.view} to {owners.outbox}")
    if changes.grants_differ(connection, view):
        planned.step("view", f"let the groups of `outboxctl roles` alone read {view}")


def _triggers(
    connection: Connection,
    planned: Planned,
    schema: str,
    known: Sequence[Projection],
    beside: Sequence[Projection],
) -> None:
    projection, before = planned.projection, planned.before
    # Of a projection that is new all are missing: the tables say as much.
    wrong = trigger_check.installed(connection, projection, known)
    former = {each.table for each in wrong if each.fault is TriggerFault.STRAY}
    former |= tables_of(before) if before and before.triggers else set()
    tables = shared(connection, projection, beside, former)
    rows = catalog.row_level(connection, [each.table for each in tables])
    planned.scripts.append(Triggers(tables, schema, rows).sql(projection.name))
    if not projection.triggers:
        if (before and before.triggers) or wrong:
            planned.step("triggers", "dropped: the application calls outboxctl.touch")
    elif before and wrong and _watched(before) == _watched(projection):
        named = (f"{each.fault} on {each.table} ({each.name})" for each in wrong[:MOST])
        planned.step("triggers", brief("; ".join(named), 500))
        if any(each.fault.misses_changes for each in wrong):
            planned.tampered.append("changes may not have been seen by these triggers")
    elif wrong:
        differing = sorted({str(each.table) for each in wrong})
        planned.step("triggers", f"on {brief(', '.join(differing), 4_000)}")


def _watched(projection: Projection) -> tuple[object, ...]:
    """What triggers depend on."""
    return (projection.root, projection.key, projection.columns, projection.follow, projection.triggers)


def _index(home: Named, planned: Planned) -> None:
    projection, wanted = planned.projection, planned.body["mappings"]
    if home.index is None:
        planned.step("index", f"create {home.name}-000001 behind {home.name}")
        planned.lacking[home.name] = {}
        return
    compared = mapping.compare(wanted, home.first.mapping)
    if compared.lacking:
        planned.lacking[home.name] = compared.lacking
        names = brief(", ".join(compared.lacking), 300)
        planned.step("mapping", f"added in place to {home.index}: {names}")
    before = planned.before or projection
    parts = [name for name in ANEW if name != "key" or not _same_ids(before, projection)]
    if before.index != projection.index:  # this one has no document of before
        parts = []
    changed = [f"{name} changes" for name in parts if getattr(before, name) != getattr(projection, name)]
    if before.former_id and before.index == projection.index:
        changed.append(sweeps.FORMER_ID.format(id=before.former_id))
    if reasons := [*changed, *compared.rebuild, *_made_without(home.first, planned)]:
        why = "; ".join(reasons[:MOST])
        command = REBUILD.format(name=projection.name)
        planned.step("rebuild", f"needs a rebuild: {why}", command)


def _same_ids(before: Projection, after: Projection) -> bool:
    """Whether a row has the text of its key as it had it: `int` has become `bigint`."""
    pairs = [*zip(before.key, after.key, strict=False)]
    alike = all(one.name == other.name and same_text(one.type, other.type) for one, other in pairs)
    return alike and len(before.key) == len(after.key)


def _made_without(index: Index, planned: Planned) -> list[str]:
    """Settings that an index of vectors is made with, and that this one lacks."""
    wanted = planned.whole["settings"]
    needed = mapping.vector_settings(planned.body["mappings"]["properties"], planned.vectors)
    lacking = (name for name in needed if index.settings.get(name) != str(wanted[name]).lower())
    return [f"the index was made without {name}" for name in lacking]


def script(connection: Connection, planned: Sequence[Planned]) -> str:
    """SQL for psql that leaves in the database what `apply` leaves, whatever is in force already.

    It is refused where others use its tables than did here.
    """
    schema, names = changes.outbox_schema(connection), [each.projection.name for each in planned]
    tables = {table for each in planned for table in tables_of(each.projection)}
    beside = beside_sql(connection, schema, names, tables)
    parts = [HEAD.format(names=", ".join(names)), changes.begin_sql(schema), beside]
    for each in planned:
        parts += [*each.scripts, each.declare_sql(schema, None).lstrip()]
    return plain_sql("\n".join([*parts, changes.END]))


def drop_views_script(connection: Connection, declared: Sequence[Declaration]) -> str:
    """Return SQL for psql that drops the views which `apply` created for these declarations, and no more.

    The declarations may be those of after the migration: only their names are used.
    """
    schema, names = changes.outbox_schema(connection), [each.name for each in declared]
    lines, ours = [DROP_HEAD.format(names=", ".join(names))], list[str]()
    for each in in_force.read(connection):
        if (each.family or each.name) not in names:
            continue
        if catalog.is_own_view(each.name, each.document, schema):
            ours.append(Identifier(schema, each.document.name).as_string())
        elif catalog.kind(connection, each.document) is Kind.VIEW:
            lines.append(f"-- Yours: {brief(each.document, 200)}, the document of {each.name}.\n")
    # One statement drops views that read each other, in any order. Without CASCADE it drops nothing else.
    lines.append(f"DROP VIEW IF EXISTS {', '.join(ours)};" if ours else "-- There is no view to drop.")
    return plain_sql("".join(lines))

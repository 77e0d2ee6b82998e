"""When every document is read again: where what documents are, or which there are, may have changed unseen.

One event stands for all documents (`follow`). It is written by the statement that puts the declaration in
force: so whoever reads it finds that declaration, and no other comes in between.
"""

import json
from collections.abc import Collection
from dataclasses import fields
from typing import Any

from psycopg.sql import SQL, Composable, Identifier, Literal

from outboxctl.core.database import driver
from outboxctl.core.schema.names import AUDIT, EVENTS, PLACES, PROJECTIONS
from outboxctl.core.sql import Connection
from outboxctl.domain.projection import EVERYTHING, Projection, Relation

# The parts of a declaration that documents, or their events, depend on, and what a change of each means.
READ_BY = {
    "root": "another root",
    "key": "another key",
    "document": "another view",
    "view": "the view, or what it uses, has changed",
    "index": "another index",
    "id_prefix": "another prefix of ids",
    "routing": "another routing",
    "pipeline": "another pipeline",
    "columns": "other columns of the root count",
    "follow": "other tables, columns or queries are followed",
    "ignore": "other tables are ignored",
    "objects": "other fields in objects: they are found in documents that are indexed after it",
    "vectors": "vectors become arrays",
    "mapping": "another mapping: a field that it adds is found in documents that are indexed after it",
}
DEFAULTS = {
    each.name: each.default for each in fields(Projection) if isinstance(each.default, str | bool | tuple)
}
WATCHED = ("columns", "follow", "ignore")  # parts that triggers, and nothing else, depend on
FORMER_ID = "the column {id} was the _id, which is the key now"
MADE = "changes were not seen while there were no triggers"
NEW = "no projection of this name is in force"
# What was sent while nothing was skipped is in no hash.
FORGET = """
UPDATE {places} SET content = NULL WHERE projection = {name} AND content IS NOT NULL AND NOT EXISTS (
    SELECT FROM {projections} WHERE name = {name} AND definition -> 'skip_unchanged' = 'true');
"""
DECLARE = """
WITH swept AS (
    INSERT INTO {events} (entity_type, entity_id, op, entity_key, follow, next_retry_at, status, attempts,
        replay_count, created_at, updated_at)
    SELECT {name}, md5({name} || '/{all}:')::uuid, 'upsert', '', {all}, 'infinity', 'pending', 0, 0, now(),
        now()
    WHERE ({anyway} OR NOT EXISTS (SELECT FROM {projections} WHERE name = {name} AND {read}::jsonb = (
        SELECT jsonb_object_agg(part, {value}) FROM unnest(ARRAY[{parts}]) part)))
        {if_rows}
){declared}
INSERT INTO {projections} (name, definition, applied_by)
VALUES ({name}, {definition}::jsonb, {by})
ON CONFLICT (name) DO UPDATE SET definition = EXCLUDED.definition, applied_by = EXCLUDED.applied_by,
    applied_at = now() WHERE {projections_name}.definition IS DISTINCT FROM EXCLUDED.definition{audited};
"""
# `apply` writes its own row, of all that it does.
AUDITED = """ RETURNING name)
INSERT INTO {audit} (action, operator, reason, filters, affected, event_ids)
SELECT 'projection apply', current_user, 'by the SQL of outboxctl projection sql',
    json_build_object('projections', json_build_object(name, ARRAY['declaration: put in force'])), 0,
    ARRAY[]::uuid[] FROM declared"""
# Settings are not in it. A definition of before lacks the parts that are newer.
VALUE = """CASE part WHEN 'mapping' THEN nullif(definition ->> part, '')::jsonb -> 'mappings'
            ELSE coalesce(definition -> part, {defaults}::jsonb -> part) END"""
# No row is looked at: that would run the policies of the table's owner, with the rights of who declares.
ROWS = """EXISTS (WITH RECURSIVE family (oid) AS (
            SELECT {root}::regclass::oid
            UNION SELECT i.inhrelid FROM family f JOIN pg_inherits i ON i.inhparent = f.oid)
        SELECT FROM family JOIN pg_class c USING (oid)
        WHERE c.relkind = 'f' OR pg_relation_size(c.oid) > 0)"""


def reasons(before: Projection | None, after: Projection) -> list[str]:
    """Why every document is read where `after` is put in force after `before`; none where none is."""
    if before is None:
        return [NEW]
    new = _parts(after)
    old = _parts(before, list(new))
    changed = [READ_BY[part] for part in new if old[part] != new[part]]
    if before.former_id:
        changed.append(FORMER_ID.format(id=before.former_id))
    return [*changed, *([MADE] if after.triggers and not before.triggers else [])]


def declare_sql(
    schema: str, projection: Projection, by: str | None, *, anyway: bool = False, new_index: bool = False
) -> str:
    """SQL that writes the declaration, and the event of all documents where it is needed, or `anyway`.

    `by` None: the login, and an audit row. Where the index is new, an empty root needs no event: else there
    may be documents of rows that are gone.
    """
    read = _parts(projection) | ({"triggers": True} if projection.triggers else {})
    values: dict[str, Composable] = {
        "all": SQL(str(EVERYTHING)),
        "events": Identifier(schema, EVENTS),
        "places": Identifier(schema, PLACES),
        "projections": Identifier(schema, PROJECTIONS),
        "projections_name": Identifier(PROJECTIONS),
        "by": SQL("current_user") if by is None else Literal(by),
        "declared": SQL(", declared AS (" if by is None else ""),
        "audited": SQL(AUDITED if by is None else "").format(audit=Identifier(schema, AUDIT)),
        "name": Literal(projection.name),
        "definition": _json(projection.to_json()),
        "read": _json(read),
        "parts": SQL(", ").join(map(Literal, read)),
        "value": SQL(VALUE).format(defaults=_json(DEFAULTS)),
        "anyway": SQL("true" if anyway else "false"),
        "if_rows": SQL(f"AND {ROWS}" if new_index else "").format(root=_literal(projection.root)),
    }
    forget = FORGET if projection.skip_unchanged else ""
    return SQL(forget + DECLARE).format(**values).as_string()


def _parts(projection: Projection, parts: Collection[str] = ()) -> dict[str, Any]:
    """These parts of it; of one without triggers those that its documents depend on."""
    definition = projection.to_json()
    mapping = json.loads(projection.mapping or "{}").get("mappings")
    chosen = parts or [each for each in READ_BY if projection.triggers or each not in WATCHED]
    return {part: mapping if part == "mapping" else definition[part] for part in chosen}


def has_rows(connection: Connection, projection: Projection) -> bool:
    """Whether the root has a row, or had one that no VACUUM has removed."""
    found = driver(connection).execute(SQL(f"SELECT {ROWS}").format(root=_literal(projection.root)))
    return found.fetchone() == (True,)


def _literal(relation: Relation) -> Literal:
    return Literal(Identifier(relation.schema, relation.name).as_string())


def _json(value: object) -> Literal:
    return Literal(json.dumps(value, ensure_ascii=False))

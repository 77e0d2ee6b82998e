"""A declaration for several schemas: an ordinary declaration for each schema that its patterns match."""

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from fnmatch import fnmatchcase

from outboxctl.core.projections import catalog, in_force
from outboxctl.core.projections.catalog import LONGEST_WITH_QUERY, MAX_NAME
from outboxctl.core.search_path import quoted
from outboxctl.core.sql import Connection
from outboxctl.domain.keys_query import TOKEN
from outboxctl.domain.printable import brief
from outboxctl.domain.projection import Projection
from outboxctl.operations.projection.declaration import SCHEMA, Declaration, check_indexes
from outboxctl.operations.projection.place import Place, shown

PLAIN = re.compile(r"[a-z0-9][a-z0-9_]*")
DIGITS = 12  # of a hash
LONGEST_HASHED = 28  # with what is readable: as short as a name of 17 characters leaves room for
NOT = "!"  # a pattern of schemas that are left out
HASHED = re.compile(rf"_[0-9a-f]{{{DIGITS}}}\Z")
IN_SQL = re.compile(r"""(?P<quote>['"]?)\{schema\}(?P=quote)""")
IN_TEXT = "{schema} is part of a text, a quoted name or a comment"
TAKEN = "take another name, or drop that one first: outboxctl projection drop {name}"
UNTRUSTED = (
    "{place} schemas: {schemas} match and are left out: their owners are neither the outbox's owner, nor a"
    " superuser, nor you; if they are meant: ALTER SCHEMA … OWNER TO the outbox's owner"
)
HOW = "by itself it is the schema's name, as in {schema}.products; '{schema}' in quotes is its text"


def expand(connection: Connection, declared: Iterable[Declaration]) -> list[Declaration]:
    """The declarations, with one for each schema in the place of one with `schemas`, in the file's order.

    Raises UsageError where no schema matches, and where a name or an index is that of another one.
    """
    there, known, expanded = catalog.schemas(connection), in_force.read(connection), list[Declaration]()
    for each in declared:
        if not each.schemas:
            expanded.append(each)
        elif matching := matched(each, there):
            expanded += [_for_schema(each, schema) for schema in matching]
        else:
            every = "a pattern has * and ? as in a shell; to end all: outboxctl projection drop "
            each.place.at("schemas").fail("no schema matches", every + each.name)
    check_indexes(expanded)
    _check_names(expanded, known)
    return expanded


def _check_names(declared: Iterable[Declaration], known: Iterable[Projection]) -> None:
    """Raise UsageError where one name would be that of two."""
    families = {each.name: each.family for each in known}
    families |= {each.family: each.family for each in known if each.family}
    for each in declared:
        for name in filter(None, (each.name, each.family)):
            if families.setdefault(name, each.family) != each.family:
                each.place.fail(f"{shown(name)} is the name of another declaration", TAKEN.format(name=name))


def matched(declared: Declaration, there: Mapping[str, bool], *, trusted: bool = True) -> list[str]:
    """Return the schemas that its patterns match and whose owner is trusted (`catalog.schemas`), or is not.

    Whoever may make a schema could otherwise have a worker run the functions of its views.
    """
    return [name for name in there if there[name] is trusted and _chosen(name, declared.schemas)]


def _chosen(name: str, patterns: Sequence[str]) -> bool:
    """Whether any pattern matches, and none of those that begin with NOT."""
    without = [each.removeprefix(NOT) for each in patterns if each.startswith(NOT)]
    wanted = [each for each in patterns if not each.startswith(NOT)]
    return any(fnmatchcase(name, each) for each in wanted) and not any(
        fnmatchcase(name, each) for each in without
    )


def left_out(connection: Connection, declared: Iterable[Declaration]) -> list[str]:
    """Return a line for each declaration that leaves out schemas because of their owners."""
    there = catalog.schemas(connection)
    found = [(each.place, matched(each, there, trusted=False)) for each in declared]
    return [
        UNTRUSTED.format(place=place, schemas=brief(", ".join(map(repr, names)), 200))
        for place, names in found
        if names
    ]


def gone(connection: Connection, declared: Iterable[Declaration]) -> list[Projection]:
    """The projections in force of these declarations whose schema is not there, or matches no more."""
    there, families = catalog.schemas(connection), {each.name: each for each in declared if each.schemas}
    return [
        each
        for each in in_force.read(connection)
        if each.family in families and each.schema not in matched(families[each.family], there)
    ]


def by_schema(declared: Sequence[Declaration]) -> list[list[Declaration]]:
    """What is applied in one transaction: what has no schema, and then all of each schema.

    The tables of hundreds of schemas are more than PostgreSQL has room for in its table of locks.
    """
    groups: dict[str, list[Declaration]] = {}
    for each in sorted(declared, key=lambda each: each.schema != ""):
        groups.setdefault(each.schema, []).append(each)
    return [*groups.values()]


def unlike(connection: Connection, groups: Sequence[Sequence[Declaration]]) -> list[Sequence[Declaration]]:
    """Of groups whose schemas have the same tables the first: where that fits, the others do."""
    shapes = catalog.shapes(connection, [group[0].schema for group in groups])
    first: dict[object, Sequence[Declaration]] = {}
    for group in groups:
        names = tuple(each.family for each in group)
        first.setdefault((names, shapes.get(group[0].schema)), group)
    return [*first.values()]


def short(schema: str, room: int = MAX_NAME) -> str:
    """At most `room` of a-z, 0-9 and _, for each schema another text: its name where that is one.

    Otherwise what is readable of it, and a hash, alike wherever there is room for LONGEST_HASHED. A name that
    ends as if in such a hash gets one, too.
    """
    if PLAIN.fullmatch(schema) and len(schema) <= room and not HASHED.search(schema):
        return schema
    digest = hashlib.sha256(schema.encode()).hexdigest()[:DIGITS]
    readable = re.sub(r"[^a-z0-9]+", "_", schema.lower()).strip("_")[: min(room, LONGEST_HASHED) - DIGITS - 1]
    return f"{readable or 'x'}_{digest}"


def _for_schema(declared: Declaration, schema: str) -> Declaration:
    """The declaration for one schema."""
    place = replace(declared.place, schema=schema)
    follow = tuple(
        replace(
            each,
            place=replace(each.place, schema=schema),
            table=_named(each.table, schema),
            keys=_sql(each.place.at("keys"), each.keys, schema),
        )
        for each in declared.follow
    )
    room = LONGEST_WITH_QUERY - len(declared.name) - 2
    return replace(
        declared,
        place=place,
        name=f"{declared.name}__{short(schema, room)}",
        root=_named(declared.root, schema),
        document=_named(declared.document, schema),
        query=_sql(place.at("query"), declared.query, schema),
        index=declared.index.replace(SCHEMA, short(schema)),
        id_prefix=declared.id_prefix.replace(SCHEMA, short(schema)),
        ignore=tuple(_named(each, schema) for each in declared.ignore),
        follow=follow,
        schemas=(),
        family=declared.name,
        schema=schema,
    )


def _named(name: str, schema: str) -> str:
    """The name of a table, which is looked up as a value and is never part of a statement."""
    return name.replace(SCHEMA, quoted(schema))


def _sql(place: Place, sql: str, schema: str) -> str:
    """The SQL with the schema in it: as a name, or as a text where `{schema}` is in quotes."""
    alone = ("'{schema}'", '"{schema}"')
    if any(SCHEMA in match[0] and match[0] not in alone for match in TOKEN.finditer(sql)):
        place.fail(IN_TEXT, HOW)
    return IN_SQL.sub(lambda match: _escaped(schema, match["quote"] or '"'), sql)


def _escaped(schema: str, quote: str) -> str:
    """In quotes, each character but letters and digits as its code: so that no schema's name ends any text.

    Who may make a schema is not who may have a view made.
    """
    text = re.sub(r"[^A-Za-z0-9_]", lambda match: f"\\+{ord(match[0]):06x}", schema)
    return f"{'U&' if text != schema else ''}{quote}{text}{quote}"

"""SQL for names, and for the keys of documents: as parameters, as they are looked up, and as text."""

from collections.abc import Sequence
from typing import Any

from psycopg.sql import SQL, Composable, Composed, Identifier

from outboxctl.domain.projection import KeyColumn, Projection, Relation


def identifier(name: str) -> SQL:
    """An identifier in a statement with the driver's placeholders."""
    return SQL(Identifier(name).as_string().replace("%", "%%"))


def type_of(column: KeyColumn) -> SQL:
    """The type of a key's column in such a statement."""
    return SQL(column.type.replace("%", "%%"))


def qualified(relation: Relation) -> Composed:
    """A relation's name in such a statement."""
    return SQL(".").join(map(identifier, (relation.schema, relation.name)))


def arrays(parts: Sequence[Sequence[str]], projection: Projection) -> dict[str, Any]:
    """The parameters k0, k1, … of the keys with these parts; t0, t1, … of types that are not PostgreSQL's."""
    found: dict[str, Any] = {
        f"k{place}": [part[place] for part in parts] for place in range(len(projection.key))
    }
    for place, column in enumerate(projection.key):
        if not column.built_in:
            found[f"t{place}"] = array_literal(found[f"k{place}"])
    return found


def array_literal(values: Sequence[str]) -> str:
    """An array as text: its elements are read by their type's input function, and by no cast."""
    quoted = (value.replace("\\", "\\\\").replace('"', '\\"') for value in values)
    return "{" + ",".join(f'"{value}"' for value in quoted) + "}"


def array_types(projection: Projection) -> dict[str, SQL]:
    """The types of the elements of `arrays`, by the name of the parameter."""
    own = {f"t{place}": type_of(each) for place, each in enumerate(projection.key) if not each.built_in}
    return {f"k{place}": SQL("text") for place in range(len(projection.key))} | own


def looked_up(projection: Projection) -> dict[str, Composable]:
    """The parts of a statement that looks keys up in the view `v`: `arrays`, `names`, `view`, `matches`."""
    given = array_types(projection)
    arrays = (SQL(f"CAST(%({name})s AS {{}}[])").format(kind) for name, kind in given.items())
    return {
        "arrays": SQL(", ").join(arrays),
        "names": SQL(", ").join(map(SQL, given)),
        "view": qualified(projection.document),
        "matches": SQL(" AND ").join(_match(place, each) for place, each in enumerate(projection.key)),
    }


def _match(place: int, column: KeyColumn) -> Composed:
    name = SQL("v.{}").format(identifier(column.name))
    typed = (
        SQL(f"CAST(k.k{place} AS {{}})").format(type_of(column)) if column.built_in else SQL(f"k.t{place}")
    )
    text = key_column_text(name, column)
    return SQL(f"{{name}} = {{typed}} AND {{text}} = k.k{place}").format(name=name, typed=typed, text=text)


def key_text_sql(columns: Sequence[tuple[Composable, KeyColumn]]) -> Composable:
    """SQL for the text of a key with these values (domain.projection.key_text), as the triggers write it."""
    return key_text_of([key_column_text(value, column) for value, column in columns])


def key_text_of(texts: Sequence[Composable]) -> Composable:
    """The same of the texts of a key's columns."""
    if len(texts) == 1:
        return texts[0]
    escaped = [SQL("replace(replace({}, '%%', '%%25'), ':', '%%3A')").format(each) for each in texts]
    return SQL(" || ':' || ").join(escaped)


def key_column_text(value: Composable, column: KeyColumn) -> Composed:
    """SQL for the text of a key's column: the same for equal values."""
    if column.type == "pg_catalog.numeric":
        return SQL("trim_scale({})::text").format(value)
    # By the output function: a cast may be a function of the type's owner.
    return SQL("{}::text" if column.built_in else "concat({})").format(value)

"""Foreign keys that lead from a table to a projection's root: how its changes reach documents, unnamed."""

import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from psycopg.sql import SQL, Composed, Identifier

from outboxctl.core.sql import Connection, text
from outboxctl.domain.projection import Follow, Relation

WORD = re.compile(r"[A-Za-z_]\w*", re.ASCII)
# Partitions have copies of their parents' foreign keys.
FOREIGN_KEYS = text("""
SELECT cn.nspname::text, c.relname::text, pn.nspname::text, p.relname::text,
    ARRAY(SELECT a.attname::text FROM unnest(k.conkey) WITH ORDINALITY u (num, place)
        JOIN pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = u.num ORDER BY place),
    ARRAY(SELECT a.attname::text FROM unnest(k.confkey) WITH ORDINALITY u (num, place)
        JOIN pg_attribute a ON a.attrelid = k.confrelid AND a.attnum = u.num ORDER BY place)
FROM pg_constraint k
JOIN pg_class c ON c.oid = k.conrelid JOIN pg_namespace cn ON cn.oid = c.relnamespace
JOIN pg_class p ON p.oid = k.confrelid JOIN pg_namespace pn ON pn.oid = p.relnamespace
WHERE k.contype = 'f' AND k.conparentid = 0
ORDER BY cn.nspname, c.relname, k.conname
""")


class Step(NamedTuple):
    """From one table to another by a foreign key, in either direction: equal values in these columns."""

    here: Relation
    columns: tuple[str, ...]
    there: Relation
    their_columns: tuple[str, ...]

    def back(self) -> "Step":
        """The same in the other direction."""
        return Step(self.there, self.their_columns, self.here, self.columns)


@dataclass(frozen=True)
class Path:
    """Foreign keys that lead from a table to the root, one after the other."""

    steps: tuple[Step, ...]

    def __str__(self) -> str:
        """For a message: `shop.categories (id), shop.product_categories (product_id), shop.products`."""
        hops = [f"{step.here} ({', '.join(step.columns)})" for step in self.steps]
        return ", ".join([*hops, str(self.steps[-1].there)])


def paths(connection: Connection, root: Relation, tables: Collection[Relation]) -> dict[Relation, list[Path]]:
    """The paths of each of these tables to the root, through these tables alone; an empty list for none.

    Of the root itself: foreign keys that lead back to it.
    """
    steps: dict[Relation, list[Step]] = {}
    for step in dict.fromkeys(_steps(connection)):  # two constraints on the same columns are one way
        if {step.here, step.there} <= {root, *tables}:
            steps.setdefault(step.here, []).append(step)
    return {table: list(_walk(steps, root, (), table)) for table in tables}


def followed(
    connection: Connection,
    root: Relation,
    key: Sequence[str],
    table: Relation,
    columns: Collection[str],
    *,
    through: Collection[Relation] = (),
) -> Follow | None:
    """How changes of a table are followed, through `through`; None unless exactly one path leads to the root.

    Which of both, no path or several, `paths` says.
    """
    found = paths(connection, root, {table, *through})[table]
    return follow(found[0], key, columns) if len(found) == 1 else None


def follow(path: Path, key: Sequence[str], columns: Collection[str]) -> Follow:
    """A path as a followed table, for a root with this key; `columns` as `dependencies.used` has them."""
    first, counted = path.steps[0], tuple(sorted(columns))
    if len(path.steps) == 1 and set(first.their_columns) == set(key):
        own = dict(zip(first.their_columns, first.columns, strict=True))
        return Follow(first.here, key=tuple(own[name] for name in key), columns=counted)
    return Follow(first.here, keys=_keys(path, key), parameters=first.columns, columns=counted)


def parameter(name: str) -> str:
    """A column of the changed row in a `keys` query: `:name`, or `:"na:me"` where it is no plain word."""
    return f":{name}" if WORD.fullmatch(name) else f":{Identifier(name).as_string()}"


def constraints(connection: Connection) -> list[Step]:
    """All foreign keys, from the table that has it to the one that it names; two on the same columns once."""
    rows = connection.execute(FOREIGN_KEYS)
    steps = [Step(Relation(*row[:2]), tuple(row[4]), Relation(*row[2:4]), tuple(row[5])) for row in rows]
    return list(dict.fromkeys(steps))


def _steps(connection: Connection) -> Iterator[Step]:
    for step in constraints(connection):
        yield step
        yield step.back()


def _walk(
    steps: dict[Relation, list[Step]], root: Relation, walked: tuple[Step, ...], at: Relation
) -> Iterator[Path]:
    """All paths that begin with the steps `walked`, come to no table twice and use no foreign key twice."""
    visited = {at, *(step.here for step in walked)}
    for step in steps.get(at, ()):
        if step.back() in walked:
            continue
        if step.there == root:
            yield Path((*walked, step))
        elif step.there not in visited:
            yield from _walk(steps, root, (*walked, step), step.there)


def _keys(path: Path, key: Sequence[str]) -> str:
    """The query of the documents behind one row of the path's first table, which it does not read."""
    first, *others = path.steps
    names = {name: (len(path.steps), name) for name in key}
    if others and set(others[-1].their_columns) == set(key):  # the table before the root has the key
        last = others.pop()
        names = {
            theirs: (len(others) + 1, own)
            for own, theirs in zip(last.columns, last.their_columns, strict=True)
        }
    joins = [_join(place, step) for place, step in enumerate(others, 2)]
    return (
        SQL("SELECT {keys} FROM {table} t1{joins} WHERE {matches}")
        .format(
            keys=SQL(", ").join(_column(*names[name]) for name in key),
            table=Identifier(first.there.schema, first.there.name),
            joins=SQL("").join(joins),
            matches=SQL(" AND ").join(
                SQL("{} = {}").format(_column(1, theirs), SQL(parameter(own)))
                for own, theirs in zip(first.columns, first.their_columns, strict=True)
            ),
        )
        .as_string()
    )


def _join(place: int, step: Step) -> Composed:
    pairs = zip(step.columns, step.their_columns, strict=True)
    equal = [SQL("{} = {}").format(_column(place - 1, own), _column(place, theirs)) for own, theirs in pairs]
    return SQL(" JOIN {} {} ON {}").format(
        Identifier(step.there.schema, step.there.name), SQL(f"t{place}"), SQL(" AND ").join(equal)
    )


def _column(place: int, name: str) -> Composed:
    return SQL("{}.{}").format(SQL(f"t{place}"), Identifier(name))

"""A document's tree of tables, by the foreign keys between them."""

from collections import Counter
from collections.abc import Iterator, Sequence

from outboxctl.core.projections import indexes
from outboxctl.core.projections.fields import fields
from outboxctl.core.projections.tree import NestedRows, Step, constraints
from outboxctl.core.sql import Connection
from outboxctl.domain.errors import UsageError
from outboxctl.domain.printable import brief
from outboxctl.domain.projection import Relation
from outboxctl.operations.projection import followed
from outboxctl.operations.projection.place import Place

LEFT_OUT = ("bytea", "tsvector", "tsquery")  # types whose text no search is for
LINKS = 2  # foreign keys of a table between two others


class Builder:
    """Builds one tree; `left_out` are columns that are not in it, `near` tables that could be."""

    def __init__(self, connection: Connection) -> None:
        self._connection, self._keys = connection, constraints(connection)
        self.left_out: list[str] = []

    def tree(self, names: Sequence[str]) -> NestedRows:
        """The document of these tables, the root first. UsageError where no foreign key leads to one."""
        root, *others = [followed.relation(self._connection, Place("TABLE"), name) for name in names]
        twice = [table for table, times in Counter([root, *others]).items() if times > 1]
        if twice:
            raise UsageError(
                f"TABLE: {brief(str(twice[0]), 200)} is named twice", hint="name each table once"
            )
        top = self._node(root)
        links = [table for table in others if self._is_link(table, {root, *others})]
        self._attach(top, [table for table in others if table not in links], links, {root, *others})
        return top

    def near(self, named: Sequence[Relation]) -> list[str]:
        """Tables that a foreign key ties to those of the document; for one between two, the one behind it."""
        tied = {k.here for k in self._keys if k.there in named} | {
            k.there for k in self._keys if k.here in named
        }
        every = {each for key in self._keys for each in (key.here, key.there)}
        links = {table for table in tied if self._is_link(table, every)}
        behind = {key.there for key in self._keys if key.here in links}
        return sorted(map(str, (tied | behind) - links - {*named}))

    def _attach(
        self, top: NestedRows, pending: list[Relation], links: Sequence[Relation], named: set[Relation]
    ) -> None:
        nodes = [top]
        for node in nodes:  # grows: breadth first, so that a table is as near to the root as it can be
            for table in list(pending):
                if found := list(self._children(node, table, links, named)):
                    node.children += found
                    nodes += found
                    pending.remove(table)
        if pending:
            raise UsageError(
                f"TABLE: no foreign key leads from {brief(str(pending[0]), 200)} to the other tables",
                hint="name a table that ties them, or write the query by hand",
            )

    def _children(
        self, node: NestedRows, table: Relation, links: Sequence[Relation], named: set[Relation]
    ) -> Iterator[NestedRows]:
        """A table beneath a node: once for each foreign key between both, else through a table between."""
        below = [key for key in self._keys if key.here == table and key.there == node.table]
        above = [key for key in self._keys if key.here == node.table and key.there == table]
        for key in below:
            single = indexes.is_unique(self._connection, table, key.columns)
            label = f"{table.name}_by_{'_'.join(key.columns)}" if len(below) > 1 else table.name
            yield self._child(node, (key,), label, many=not single, without=key.columns)
        for key in above:
            yield self._child(node, (key.back(),), _above(key), many=False)
        if not below and not above and (way := self._through(node.table, table, links, named)):
            yield self._child(node, way, table.name, many=True)

    def _child(
        self,
        above: NestedRows,
        steps: tuple[Step, ...],
        label: str,
        *,
        many: bool,
        without: Sequence[str] = (),
    ) -> NestedRows:
        child = self._node(steps[0].here, without)
        child.steps, child.many = steps, many
        used = {*above.columns, *(each.label for each in above.children)}
        child.label = next(each for each in _labels(label) if each not in used)
        return child

    def _node(self, table: Relation, without: Sequence[str] = ()) -> NestedRows:
        columns = fields(self._connection, table)
        skipped = {each.name: each.kind for each in columns if each.kind in LEFT_OUT}
        self.left_out += [f"{table}.{name} ({kind})" for name, kind in skipped.items()]
        key = indexes.primary_key(self._connection, table)
        wanted = [each for each in columns if each.name not in (*skipped, *without)] or columns
        names = [each.name for each in wanted]
        return NestedRows(table, columns=names, order=key or tuple(names[:1]))

    def _is_link(self, table: Relation, named: set[Relation]) -> bool:
        """Whether a table has nothing but foreign keys to others that are named, and a key of its own."""
        keys = [key for key in self._keys if key.here == table and key.there in named - {table}]
        own = {name for key in self._keys if key.here == table for name in key.columns}
        primary = indexes.primary_key(self._connection, table)
        rest = {each.name for each in fields(self._connection, table)} - own
        return len(keys) >= LINKS and rest <= {*(primary if len(primary) == 1 else ())}

    def _through(
        self, above: Relation, table: Relation, links: Sequence[Relation], named: set[Relation]
    ) -> tuple[Step, Step] | None:
        ways = [
            (near.back(), far)
            for near in self._keys
            if near.there == table and near.here not in (above, table)
            for far in self._keys
            if far.here == near.here and far.there == above and near.here not in named - {*links}
        ]
        chosen = [way for way in ways if way[1].here in links] or ways
        if len(chosen) > 1:
            between = ", ".join(sorted({str(way[1].here) for way in chosen}))
            raise UsageError(
                f"TABLE: several foreign keys lead from {table} to {above}, through {brief(between, 200)}",
                hint="name the table between them that is meant, too, or write the query by hand",
            )
        return chosen[0] if chosen else None


def _above(key: Step) -> str:
    """`category` for a column `category_id`, else the name of the table."""
    name = key.columns[0]
    short = name[: -len("_id")] if name.lower().endswith("_id") else ""
    return short if len(key.columns) == 1 and short else key.there.name


def _labels(label: str) -> Iterator[str]:
    yield label
    yield from (f"{label}_{number}" for number in range(2, 10_000))

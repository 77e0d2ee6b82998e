"""Sessions that write to tables at random, in statements that are made from the catalog of the tables."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from random import Random

import psycopg
from psycopg.errors import CheckViolation, NotNullViolation
from psycopg.sql import SQL, Composable, Composed, Identifier, Literal

from schemas.tables import Column, Table
from shop.sessions import REFUSED

# A value that no partition takes, or a row that a table's own rules refuse.
OWN_RULES = (*REFUSED, CheckViolation, NotNullViolation)
KEYS = 40  # different values of a key that has no default
WORDS = ("", "a", "Größe", "o'neil", '"q"', "back\\slash", "tab\t", "%s :id", "x" * 3_000)
STATEMENTS = 4  # in a transaction, at most
ANY = SQL("SELECT {} FROM {} ORDER BY random() LIMIT 1")
Values = Mapping[str, str]


@dataclass
class Writer:
    """One session: `values` are SQL for columns (`table.column`) whose values are not arbitrary."""

    sql: psycopg.Connection
    tables: Sequence[Table]
    values: Values
    rng: Random
    counts: Counter[str] = field(default_factory=Counter)

    def transaction(self) -> None:
        """A few statements, each in a savepoint that may be undone, and an end of either kind."""
        try:
            with self.sql.transaction(force_rollback=self.rng.random() < 0.1):
                for _ in range(self.rng.randint(1, STATEMENTS)):
                    self._step()
        except REFUSED as error:  # a deadlock ends the transaction, a constraint may be checked at its end
            self._refused(error)
        else:
            self.counts["transactions"] += 1

    def _step(self) -> None:
        try:
            with self.sql.transaction(force_rollback=self.rng.random() < 0.1):
                self.sql.execute(self._statement())
        except psycopg.errors.DeadlockDetected:
            raise
        except OWN_RULES as error:
            self._refused(error)

    def _refused(self, error: psycopg.Error) -> None:
        assert "outbox_" not in f"{error.diag.context} {error.diag.table_name}", error
        self.counts[type(error).__name__] += 1

    def _statement(self) -> Composed:
        table = self.rng.choice(self.tables)
        kinds = [
            self.insert,
            self.insert,
            self.insert,
            self.update,
            self.update,
            self.update,
            self.move,
            self.delete,
        ]
        chosen: Callable[[Table], Composed] = self.rng.choice(kinds)
        self.counts[chosen.__name__] += 1
        return chosen(table)

    def insert(self, table: Table) -> Composed:
        """One row, or nothing where its key is there."""
        columns = [each for each in table.columns if not (each.default and self.rng.random() < 0.7)]
        return SQL("INSERT INTO {} ({}) VALUES ({}) ON CONFLICT DO NOTHING").format(
            SQL(table.name),
            SQL(", ").join(Identifier(each.name) for each in columns),
            SQL(", ").join(self._value(table, each) for each in columns),
        )

    def update(self, table: Table) -> Composed:
        """One column of one row, or of every third; also to the value that it has."""
        plain = [each for each in table.columns if not each.keyed]
        column = self.rng.choice(plain or table.columns)
        value = Identifier(column.name) if self.rng.random() < 0.1 else self._value(table, column)
        where = self._row(table) if self.rng.random() < 0.8 else SQL("random() < 0.3")
        return SQL("UPDATE {} SET {} = {} WHERE {}").format(
            SQL(table.name), Identifier(column.name), value, where
        )

    def move(self, table: Table) -> Composed:
        """One row to another parent, or to another key."""
        linked = [each for each in table.columns if each.keyed or table.reference_of(each.name)]
        column = self.rng.choice(linked)
        return SQL("UPDATE {} SET {} = {} WHERE {}").format(
            SQL(table.name), Identifier(column.name), self._value(table, column), self._row(table)
        )

    def delete(self, table: Table) -> Composed:
        """One row."""
        return SQL("DELETE FROM {} WHERE {}").format(SQL(table.name), self._row(table))

    def _row(self, table: Table) -> Composable:
        key = SQL(", ").join(map(Identifier, table.key))
        return SQL("({}) = ({})").format(key, ANY.format(key, SQL(table.name)))

    def _value(self, table: Table, column: Column) -> Composable:
        if column.nullable and self.rng.random() < 0.15:
            return SQL("NULL")
        if (own := self.values.get(f"{table.name}.{column.name}")) is not None:
            return SQL(own)
        if reference := table.reference_of(column.name):
            theirs = reference.theirs[reference.columns.index(column.name)]
            return SQL("({})").format(ANY.format(Identifier(theirs), SQL(reference.table)))
        return self._plain(column)

    def _plain(self, column: Column) -> Composable:
        number = self.rng.randint(1, KEYS)
        if column.enum:
            return SQL("(SELECT v FROM unnest(enum_range(NULL::{})) v ORDER BY random() LIMIT 1)").format(
                SQL(column.type)
            )
        texts = {
            "boolean": str(number % 2 == 0),
            "date": f"2022-0{number % 9 + 1}-11",
            "uuid": f"00000000-0000-4000-8000-{number:012}",
            "jsonb": f'{{"n": {number}.50, "deep": [{{"a": null}}]}}',
            "bytea": f"\\x{number:02x}",
        }
        text = texts.get(column.type) or self._by_family(column.type, number)
        return SQL("CAST({} AS {})").format(Literal(text), SQL(column.type))

    def _by_family(self, kind: str, number: int) -> str:
        if kind.endswith("[]"):
            return f'{{"{number}","b,c"}}' if kind.startswith(("text", "char")) else f"{{{number}}}"
        if kind.startswith("timestamp"):
            return f"2022-0{number % 9 + 1}-11 10:00:00.{number:03}"
        if kind.startswith("char"):  # char(n), varchar(n): what fits, and keys from a small set
            return f"k{number}"
        return self.rng.choice([*WORDS, f"word {number}"]) if kind == "text" else str(number)


def write(
    url: str, tables: Sequence[Table], values: Values, *, seed: int, sessions: int, transactions: int
) -> Counter[str]:
    """Have so many sessions make so many transactions each; what they did. Raises their other errors."""

    def session(number: int) -> Counter[str]:
        with psycopg.connect(url, autocommit=True) as sql:
            sql.execute("SET deadlock_timeout = '20ms'")
            writer = Writer(sql, tables, values, Random(f"{seed}/{number}"))
            for _ in range(transactions):
                writer.transaction()
            return writer.counts

    with ThreadPoolExecutor(sessions) as pool:
        return sum(pool.map(session, range(sessions)), Counter[str]())

"""Views made at random, of joins, subqueries and derived tables; most of them nobody would write."""

from random import Random

TABLES = {"r": "id a b", "x": "id rid a b", "y": "id xid a b", "z": "id rid yid a"}
COLUMNS = {table: names.split() for table, names in TABLES.items()}
SCHEMA = "CREATE SCHEMA s;" + "".join(
    f"CREATE TABLE s.{table} ({', '.join(f'{name} int' for name in names)}, PRIMARY KEY (id));"
    for table, names in COLUMNS.items()
)
Scope = list[tuple[str, str]]  # aliases with their tables


class ViewMaker:
    """Makes views of the rows of `r`, each with a number of its own for every alias."""

    def __init__(self, random: Random) -> None:
        self.random, self._aliases = random, 0

    def view(self) -> str:
        """A SELECT whose first column is the key of `r`."""
        sources, scope, values = "s.r r", [("r", "r")], ["r.a"]
        for _ in range(self.random.choice([0, 1, 1, 2])):
            source, value, more = self._joined(scope)
            sources, scope, values = f"{sources} {source}", scope + more, [*values, value]
        values += [f"({self._value(scope)})" for _ in range(self.random.choice([0, 1, 1, 2]))]
        if self._one_in(10):
            by = self.random.choice(["r.id", self._column(scope)])
            values.append(f"rank() OVER (PARTITION BY {by} ORDER BY r.a)")
        columns = ", ".join(f"{value} AS c{number}" for number, value in enumerate(values))
        return f"SELECT r.id, {columns} FROM {sources}{self._where(scope)}"

    def write(self) -> str:
        """A change of one row of one table."""
        table = self.random.choice(list(COLUMNS))
        names, row, kind = COLUMNS[table][1:], self.random.randint(1, 6), self.random.random()
        values = [str(self.random.choice(["NULL", *range(1, 6), *range(1, 6)])) for _ in names]
        if kind < 0.45:
            return f"INSERT INTO s.{table} VALUES ({row}, {', '.join(values)}) ON CONFLICT DO NOTHING"
        if kind < 0.85:
            return f"UPDATE s.{table} SET {self.random.choice(names)} = {values[0]} WHERE id = {row}"
        if kind < 0.9:
            free = f"NOT EXISTS (SELECT FROM s.{table} WHERE id = {row + 1})"
            return f"UPDATE s.{table} SET id = {row + 1} WHERE id = {row} AND {free}"
        return f"DELETE FROM s.{table} WHERE id = {row}"

    def _one_in(self, number: int) -> bool:
        return self.random.randrange(number) == 0

    def _alias(self) -> str:
        self._aliases += 1
        return f"q{self._aliases}"

    def _column(self, scope: Scope) -> str:
        alias, table = self.random.choice(scope)
        return f"{alias}.{self.random.choice(COLUMNS[table])}"

    def _tests(self, scope: Scope, outer: Scope) -> str:
        compared = ["="] * 8 + ["<", "IS DISTINCT FROM"]
        return " AND ".join(
            f"{self._column(scope)} {self.random.choice(compared)} {self._column(scope + outer)}"
            for _ in range(self.random.choice([1, 1, 2]))
        )

    def _joined(self, scope: Scope) -> tuple[str, str, Scope]:
        alias, table = self._alias(), self.random.choice(list(COLUMNS))
        if self._one_in(2):
            column = self.random.choice(COLUMNS["r"])
            return f"LEFT JOIN ({self._derived()}) {alias} ON {alias}.k = r.{column}", f"{alias}.v", []
        own = [(alias, table)]
        more = f" AND {self._tests(own, scope)}" if self._one_in(3) else ""
        join = self.random.choice(["JOIN", "LEFT JOIN"])
        test = f"{alias}.id = {self._column(scope)}{more}"
        return f"{join} s.{table} {alias} ON {test}", self._column(own), own

    def _sources(self) -> tuple[str, Scope]:
        table, alias = self.random.choice(list(COLUMNS)), self._alias()
        sql, scope = f"s.{table} {alias}", [(alias, table)]
        for _ in range(self.random.choice([0, 0, 1, 1, 2])):
            table, alias = self.random.choice(list(COLUMNS)), self._alias()
            join = self.random.choice(["JOIN", "LEFT JOIN", "LEFT JOIN", "RIGHT JOIN", "FULL JOIN"])
            equal = f"{alias}.{self.random.choice(COLUMNS[table])} = {self._column(scope)}"
            test = equal if join == "FULL JOIN" else self._tests([(alias, table)], scope)
            left = f"({sql})" if len(scope) > 1 else sql
            sql, scope = f"{left} {join} s.{table} {alias} ON {test}", [*scope, (alias, table)]
        return sql, scope

    def _value(self, outer: Scope, depth: int = 0) -> str:
        sources, scope = self._sources()
        # An aggregate of columns of the query around it alone would be one of that query.
        inner = depth < 2 and self._one_in(3)
        value = f"({self._value(scope + outer, depth + 1)}) + {self._column(scope)}" if inner else ""
        where = self._tests(scope, outer)
        if self._one_in(3):
            where += f" AND {self._exists(scope + outer)}"
        if self._one_in(6):
            order = ", ".join(f"{alias}.id" for alias, _ in scope)
            return f"SELECT {self._column(scope)} FROM {sources} WHERE {where} ORDER BY {order} LIMIT 1"
        return f"SELECT coalesce(sum({value or self._column(scope)}), 0) FROM {sources} WHERE {where}"

    def _exists(self, outer: Scope) -> str:
        sources, scope = self._sources()
        negated = self.random.choice(["", "NOT "])
        if self._one_in(2):
            return f"{self._column(outer)} {negated}IN (SELECT {self._column(scope)} FROM {sources})"
        return f"{negated}EXISTS (SELECT FROM {sources} WHERE {self._tests(scope, outer)})"

    def _where(self, scope: Scope) -> str:
        tests = [self._exists(scope)] if self._one_in(3) else []
        tests += [self._tests(scope, [])] if self._one_in(5) else []
        return f" WHERE {' AND '.join(tests)}" if tests else ""

    def _derived(self) -> str:
        sources, scope = self._sources()
        key, value, other = (self._column(scope) for _ in range(3))
        source = f"{sources} WHERE {self._tests(scope, [])}" if self._one_in(3) else sources
        order = ", ".join(f"{alias}.id" for alias, _ in scope)
        number = f"row_number() OVER (PARTITION BY {self.random.choice([key, other])} ORDER BY {order}) AS n"
        both = f"SELECT {key} AS k, {value} AS v FROM {source} UNION ALL SELECT x.rid, x.a FROM s.x"
        return self.random.choice([
            f"SELECT {key} AS k, sum({value}) AS v FROM {source} GROUP BY {key}",
            f"SELECT DISTINCT ON ({key}) {key} AS k, {value} AS v FROM {source} ORDER BY {key}, {order}",
            f"SELECT k, v FROM (SELECT {key} AS k, {value} AS v, {number} FROM {source}) w WHERE n = 1",
            f"SELECT k, max(v) AS v FROM ({both}) w GROUP BY k",
            f"SELECT {key} AS k, {value} AS v FROM {source} ORDER BY {order} LIMIT 3",
        ])  # fmt: skip

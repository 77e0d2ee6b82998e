"""Random writes to products and their parts, the same for each tool, one transaction after the other.

Products are inserted, changed, deleted, and deleted and inserted again, at once or later; parts are inserted,
changed, deleted, and moved to another product. Of ten transactions one is rolled back.
"""

from collections.abc import Callable, Sequence
from itertools import count
from random import Random
from time import time
from typing import NamedTuple

import psycopg

from benchmarks import shop
from outboxctl.net.urls import check_database_url

CHANGES = 4  # of a transaction, at the most
ROLLED_BACK = 0.1  # of the transactions
AGAIN = 0.5  # of the inserted products are deleted ones, as long as there are any
MOST = 2_000  # products that are written: few enough that each is written several times
S = shop.SCHEMA


class Transaction(NamedTuple):
    """Its statements, and whether it is committed."""

    statements: list[str]
    committed: bool


class Writes(NamedTuple):
    """What is written, and how many products it has changed, with their documents."""

    transactions: list[Transaction]
    products: int


class Rows:
    """The products that are written, with the ids of their parts, as the writes so far leave them."""

    def __init__(self, rng: Random, products: Sequence[int], of: int) -> None:
        """`of` products are there; those with other ids than `products` are left alone."""
        self._rng = rng
        self._parts = {id_: [shop.PARTS * (id_ - 1) + n + 1 for n in range(shop.PARTS)] for id_ in products}
        self._deleted: list[int] = []
        self._product, self._part, self._text = count(of + 1), count(shop.PARTS * of + 1), count(1)
        self.touched: set[int] = set()

    def transaction(self) -> Transaction:
        """The next one; what is rolled back leaves the rows as they were."""
        committed = self._rng.random() >= ROLLED_BACK
        before = None if committed else self._copied()
        changes = self._rng.choices(KINDS, k=self._rng.randint(1, CHANGES))
        statements = [statement for change in changes for statement in change(self)]
        if before:
            self._parts, self._deleted, self.touched = before
        return Transaction(statements, committed)

    def _copied(self) -> tuple[dict[int, list[int]], list[int], set[int]]:
        return {id_: [*parts] for id_, parts in self._parts.items()}, [*self._deleted], {*self.touched}

    def _any(self) -> int:
        id_ = self._rng.choice([*self._parts])
        self.touched.add(id_)
        return id_

    def insert(self) -> list[str]:
        again = self._deleted and self._rng.random() < AGAIN
        id_ = self._deleted.pop(self._rng.randrange(len(self._deleted))) if again else next(self._product)
        return self._inserted(id_)

    def _inserted(self, id_: int) -> list[str]:
        self._parts[id_] = []
        self.touched.add(id_)
        category = self._rng.randint(1, shop.CATEGORIES)
        product = f"INSERT INTO {S}.products VALUES ({id_}, 'product {next(self._text)}', {category})"
        return [product, *(self._part_of(id_) for _ in range(self._rng.randint(0, shop.PARTS)))]

    def _part_of(self, id_: int) -> str:
        self._parts[id_].append(part := next(self._part))
        return f"INSERT INTO {S}.parts VALUES ({part}, {id_}, 'sku-{part}', 'note {next(self._text)}')"

    def change(self) -> list[str]:
        changed = (
            f"name = 'product {next(self._text)}', category_id = {self._rng.randint(1, shop.CATEGORIES)}"
        )
        return [f"UPDATE {S}.products SET {changed} WHERE id = {self._any()}"]

    def delete(self) -> list[str]:
        id_ = self._any()
        self._deleted.append(id_)
        return self._gone(id_)

    def _gone(self, id_: int) -> list[str]:
        del self._parts[id_]
        return [
            f"DELETE FROM {S}.parts WHERE product_id = {id_}",
            f"DELETE FROM {S}.products WHERE id = {id_}",
        ]

    def replace(self) -> list[str]:
        id_ = self._any()
        return [*self._gone(id_), *self._inserted(id_)]

    def add_part(self) -> list[str]:
        return [self._part_of(self._any())]

    def _with_part(self) -> tuple[int, int]:
        """A product, and one of its parts, taken out of it; 0, which is nobody's id, where it has none."""
        parts = self._parts[id_ := self._any()]
        return id_, parts.pop(self._rng.randrange(len(parts))) if parts else 0

    def change_part(self) -> list[str]:
        id_, part = self._with_part()
        self._parts[id_] += [part] if part else []
        return [f"UPDATE {S}.parts SET note = 'note {next(self._text)}' WHERE id = {part}"]

    def delete_part(self) -> list[str]:
        return [f"DELETE FROM {S}.parts WHERE id = {self._with_part()[1]}"]

    def move_part(self) -> list[str]:
        (_, part), id_ = self._with_part(), self._any()
        self._parts[id_] += [part] if part else []
        return [f"UPDATE {S}.parts SET product_id = {id_} WHERE id = {part}"]


KINDS: tuple[Callable[[Rows], list[str]], ...] = (
    *(Rows.insert, Rows.change, Rows.delete, Rows.replace),
    *(Rows.add_part, Rows.change_part, Rows.delete_part, Rows.move_part),
)


def writes(products: int, transactions: int) -> Writes:
    """So many transactions on the last ones of so many products, at the most on half of them."""
    first = max(products // 2, products - MOST) + 1
    rows = Rows(Random(1), range(first, products + 1), products)  # noqa: S311 - test data
    return Writes([rows.transaction() for _ in range(transactions)], len(rows.touched))


def carry_out(url: str, transactions: Sequence[Transaction]) -> float:
    """Carry out each in one session, as fast as it goes; when the last one had ended."""
    with psycopg.connect(check_database_url(url), autocommit=True) as session:
        for each in transactions:
            with session.transaction(force_rollback=not each.committed):
                for statement in each.statements:
                    session.execute(statement.encode())
    return time()

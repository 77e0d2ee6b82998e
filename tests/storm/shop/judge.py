"""The judgement of the shop: the index holds the rows of the view, and never went back to older ones."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import psycopg

from engines.node import Node
from storm.failed import failed
from storm.fleet import SETTINGS
from storm.shop.application import ShopApplication
from storm.shop.report import ShopReport
from storm.shop.schema import NAME
from storm.shop.timeline import Damage, State, Timeline

ROWS = "SELECT id::text, to_json(d) FROM shop.product_documents d"
STATES = "SELECT mark, document FROM shop.states WHERE id = %s"
EVENTS = """
SELECT CASE WHEN follow IS NULL THEN 'of documents' WHEN follow < 0 THEN 'of all documents'
    ELSE 'of a category' END, count(*)
FROM search_outbox_events WHERE entity_type = %s GROUP BY 1 ORDER BY 1
"""
AMISS = """
SELECT count(*) FROM search_outbox_events WHERE entity_type = %s AND (status NOT IN ('done', 'failed')
    OR num_nonnulls(owner, lease_token, lease_until, processing_started_at) > 0 OR attempts > %s)
"""


class ShopJudge:
    """Reads the view and the index itself; what our own commands say of them is another matter."""

    def __init__(self, sql: psycopg.Connection, engine: Node, index: str) -> None:
        self._sql, self._engine, self._index = sql, engine, index
        engine.ok("POST", f"/{index}/_refresh")

    def judge(self, report: ShopReport, looks: Mapping[str, Sequence[State]]) -> list[str]:
        """Complete the report; returns what is wrong."""
        held = {hit["_id"]: hit["_source"] for hit in self._engine.scan(self._index, source=True)}
        rows = self._rows()
        differences = [*_differences(rows, held)]
        report.documents, report.lost = len(rows), len(differences)
        damages = [*self._damages(looks)]
        seen = Counter(damage for damage, _ in damages)
        report.went_back, report.resurrected = seen[Damage.BACK], seen[Damage.RESURRECTED]
        report.never_committed = seen[Damage.UNTRUE]
        report.states = self._count("SELECT count(*) FROM shop.states")
        report.events, report.failed = self._pairs(EVENTS), failed(self._sql, NAME)
        return differences + [f"{damage}: {text}" for damage, text in damages] + self._unsettled(report)

    def unrecorded(self, application: ShopApplication) -> list[str]:
        """Transactions that are in the database and were not answered, or the other way round."""
        there = {name for (name,) in self._sql.execute("SELECT name FROM shop.transactions")}
        return [f"transaction {name} has not ended as it was said" for name in there ^ application.committed]

    def _rows(self) -> dict[str, Any]:
        with self._sql.transaction():
            self._sql.execute("SET LOCAL TimeZone = 'UTC'")
            return dict(self._sql.execute(ROWS).fetchall())

    def _damages(self, looks: Mapping[str, Sequence[State]]) -> Iterator[tuple[Damage, str]]:
        for key, each in looks.items():
            states: dict[int, State] = dict(self._sql.execute(STATES, [key]).fetchall())
            for damage, text in Timeline(states).judge(each):
                yield damage, f"document {key}: {text}"

    def _unsettled(self, report: ShopReport) -> list[str]:
        amiss = self._count(AMISS, NAME, SETTINGS["OUTBOX_MAX_ATTEMPTS"])
        failed = [f"{count} events of the shop failed: {reason}" for reason, count in report.failed.items()]
        return failed + [f"{amiss} events of the shop are not settled"] * (amiss > 0)

    def _pairs(self, query: str) -> dict[str, int]:
        return {str(name): count for name, count in self._sql.execute(query, [NAME]).fetchall()}

    def _count(self, query: str, *values: Any) -> int:
        return sum(count for (count,) in self._sql.execute(query, values).fetchall())


def _differences(rows: Mapping[str, Any], held: Mapping[str, Any]) -> Iterator[str]:
    for key in sorted(rows.keys() | held.keys()):
        if key not in held:
            yield f"document {key} is missing"
        elif key not in rows:
            yield f"document {key} has no row in the view"
        elif rows[key] != held[key]:
            yield f"document {key} is not its row: {held[key]} is held, {rows[key]} is the row"

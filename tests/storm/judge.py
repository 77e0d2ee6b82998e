"""The judgement: the index must be the fold of the source rows, and nothing may be lost, held or failed."""

import psycopg

from engines.node import Node
from invariants import check_invariants
from schemas.judge import differences
from storm.application import KIND
from storm.fleet import SETTINGS
from storm.report import Report, failed

KEYS = ("entity_type", "entity_id")
EVENTS = "SELECT count(*) FROM search_outbox_events WHERE entity_type = %s"


class Judge:
    """Compares a database with an index; the engine's numbers must be decimals."""

    def __init__(self, sql: psycopg.Connection, engine: Node, index: str) -> None:
        self._sql, self._engine, self._index = sql, engine, index

    def judge(self, report: Report) -> None:
        """Complete the report."""
        wrong = differences(self._sql, self._engine, view="public.search_index", keys=KEYS, index=self._index)
        lost_rows = report.events - self._count(EVENTS, KIND)
        report.documents = self._count("SELECT count(*) FROM search_index")
        report.resurrected = sum(each.endswith("has no row") for each in wrong)
        report.lost = lost_rows + len(wrong) - report.resurrected
        report.failed = failed(self._sql, KIND)
        report.wrong += [f"{lost_rows} rows are missing in the outbox"] * (lost_rows != 0) + wrong
        report.wrong += [f"{count} events failed: {reason}" for reason, count in report.failed.items()]
        report.wrong += self._broken_invariants(report.events)
        report.judge_course()

    def _count(self, query: str, *values: str) -> int:
        return sum(count for (count,) in self._sql.execute(query, values).fetchall())

    def _broken_invariants(self, committed: int) -> list[str]:
        most = int(SETTINGS["OUTBOX_MAX_ATTEMPTS"])
        try:
            check_invariants(
                self._sql, self._engine, self._index, rows=committed, max_attempts=most, entity_type=KIND
            )
        except AssertionError as error:
            return [str(error).partition("\n")[0]]
        return []

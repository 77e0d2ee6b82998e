"""The judgement: the index must be the fold of the source rows, and nothing may be lost, held or failed."""

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any

import psycopg

from engines.node import Node
from invariants import check_invariants
from storm.application import KIND
from storm.figures import failed
from storm.fleet import SETTINGS
from storm.report import Report

PAGE = 1_000
SOURCE = """
SELECT entity_type || ':' || entity_id, event_version, to_jsonb(s) FROM search_index s ORDER BY 1
"""
GONE = """
SELECT given.id FROM unnest(CAST(%s AS text[])) AS given (id) WHERE NOT EXISTS (
    SELECT FROM search_index WHERE entity_type = split_part(given.id, ':', 1)
        AND entity_id = CAST(split_part(given.id, ':', 2) AS uuid))
"""
EVENTS = "SELECT count(*) FROM search_outbox_events WHERE entity_type = %s"
Row = tuple[str, int, dict[str, Any]]


class Judge:
    """Compares a database with an index, page by page."""

    def __init__(self, sql: psycopg.Connection, engine: Node, index: str) -> None:
        self._sql, self._engine, self._index = sql, engine, index
        engine.ok("POST", f"/{index}/_refresh")

    def judge(self, report: Report) -> None:
        """Complete the report."""
        differences, resurrected = [*self._differences()], self._resurrected()
        lost_rows = report.events - self._count(EVENTS, KIND)
        report.documents = self._count("SELECT count(*) FROM search_index")
        report.lost = lost_rows + len(differences)
        report.resurrected, report.failed = len(resurrected), failed(self._sql, KIND)
        report.wrong += [f"{lost_rows} rows are missing in the outbox"] * (lost_rows != 0)
        report.wrong += differences + [f"{id_} came back" for id_ in resurrected]
        report.wrong += [f"{count} events failed: {reason}" for reason, count in report.failed.items()]
        report.wrong += self._broken_invariants(report.events)
        report.judge_course()

    def _count(self, query: str, *values: str) -> int:
        return sum(count for (count,) in self._sql.execute(query, values).fetchall())

    def _differences(self) -> Iterator[str]:
        """Documents that are missing, or of another version or content than their source rows."""
        for page in self._source_rows():
            yield from self._compare(page)

    def _resurrected(self) -> list[str]:
        """Documents whose source row is gone."""
        hits = self._engine.scan(self._index, source=False)
        return [id_ for page in _pages(hit["_id"] for hit in hits) for id_ in self._gone(page)]

    def _broken_invariants(self, committed: int) -> list[str]:
        most = int(SETTINGS["OUTBOX_MAX_ATTEMPTS"])
        try:
            check_invariants(
                self._sql, self._engine, self._index, rows=committed, max_attempts=most, entity_type=KIND
            )
        except AssertionError as error:
            return [str(error).partition("\n")[0]]
        return []

    def _source_rows(self) -> Iterator[list[Row]]:
        with self._sql.transaction(), self._sql.cursor("source") as cursor:
            self._sql.execute("SET LOCAL TimeZone = 'UTC'")  # as the worker writes its documents
            cursor.execute(SOURCE)
            while page := cursor.fetchmany(PAGE):
                yield page

    def _compare(self, page: list[Row]) -> Iterator[str]:
        docs = self._engine.mget(index=self._index, ids=[id_ for id_, _, _ in page], source=True)["docs"]
        for (id_, version, source), doc in zip(page, docs, strict=True):
            if not doc["found"]:
                yield f"{id_} is missing at version {version}"
            elif doc["_version"] != version:
                yield f"{id_} is at version {doc['_version']}, its source row at {version}"
            elif doc["_source"] != source:
                yield f"{id_} has another content than its source row"

    def _gone(self, ids: list[str]) -> list[str]:
        return [id_ for (id_,) in self._sql.execute(GONE, [ids]).fetchall()]


def _pages(ids: Iterable[str]) -> Iterator[list[str]]:
    rest = iter(ids)
    while page := [*islice(rest, PAGE)]:
        yield page

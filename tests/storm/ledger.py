"""The ledger's part of one storm: its writers, those who change its declaration, and the judgement."""

import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from random import Random

import psycopg
from psycopg.errors import UndefinedColumn

from engines.node import Node
from processes import Cli, environment
from schemas.judge import differences
from schemas.tables import tables
from schemas.writer import Writer
from storm.ledger_changes import Developer, Rebuilder
from storm.ledger_schema import NAME, PARTITION_NAME, SCHEMA, VALUES, is_busy
from storm.looking import DocumentLooks
from storm.plan import Plan, Site
from storm.report import PartReport, failed

WRITERS = 2
INTERVAL = 0.2  # seconds between two looks
NEWEST = {"size": 2_000, "sort": [{"rev": "desc"}], "_source": False}
BETWEEN = 0.1  # seconds from one transaction to the next, at most


class Ledger:
    """It is written to, and its declaration changes, from the beginning to `finish`."""

    def __init__(self, plan: Plan, site: Site, engine: Node) -> None:
        env = environment(DATABASE_URL=site.url, ELASTIC_URL=site.sink, ELASTIC_INDEX=site.index)
        cli = Cli(env, site.folder)
        indexes = (f"{site.index}-accounts-a", f"{site.index}-accounts-b")
        self._engine, self._site, self._indexes = engine, site, indexes
        self._over, self._stack, self.counts = threading.Event(), ExitStack(), Counter[str]()
        self.errors: list[str] = []
        sql = self._connect()
        sql.execute(SCHEMA)
        self.developer = Developer(sql, cli, plan.rng("developer"), indexes, self._over)
        self.rebuilder = Rebuilder(cli, self._over)
        self.developer.attach()
        self.developer.apply()
        self._looks = DocumentLooks(self._engine, self._newest, INTERVAL, gone=False)
        self._threads = ThreadPoolExecutor(WRITERS + 2)
        self._running = [self._threads.submit(each.run) for each in (self.developer, self.rebuilder)]
        self._running += [self._threads.submit(self._write, plan.rng(f"ledger {n}")) for n in range(WRITERS)]

    def finish(self) -> None:
        """Write and change no more; the declaration that is in force then is the one that counts."""
        if not self._over.is_set():
            self._over.set()
            self._threads.shutdown()
            for each in self._running:
                each.result()
            self.developer.apply()

    def judge(self, sql: psycopg.Connection) -> tuple[PartReport, list[str]]:
        """The figures, and what is wrong; all must have been delivered."""
        self._looks.finish()
        view, index = f"ledger.{self.developer.view}", self.developer.index
        wrong = differences(sql, self._engine, view=view, keys=["id"], index=index)
        rows = sql.execute(f"SELECT count(*) FROM {view}".encode()).fetchall()
        report = PartReport(
            NAME,
            transactions=dict(self.counts),
            changes=dict(self.developer.counts + self.rebuilder.counts),
            documents=rows[0][0],
            looks=self._looks.count,
            lost=len(wrong),
            went_back=len(self._looks.steps_back),
            failed=failed(sql, NAME),
            application_errors=len(self.errors),
        )
        wrong += [f"stepped back: {text}" for text in self._looks.steps_back]
        wrong += [f"{count} events of the ledger failed: {reason}" for reason, count in report.failed.items()]
        return report, wrong + self.errors + self.developer.errors + self.rebuilder.errors

    def close(self) -> None:
        """End its threads and their connections."""
        self._over.set()
        self._threads.shutdown()
        self._looks.close()
        self._stack.close()

    def _newest(self, _look: int) -> Iterator[tuple[str, list[str]]]:
        """Those that changed last, behind each alias."""
        for index in self._indexes:
            path = f"/{index}/_search?ignore_unavailable=true"
            status, answer = self._engine.ask("POST", path, NEWEST)
            yield index, [hit["_id"] for hit in answer["hits"]["hits"]] if status == 200 else []

    def _connect(self) -> psycopg.Connection:
        return self._stack.enter_context(psycopg.connect(self._site.url, autocommit=True))

    def _write(self, rng: Random) -> None:
        sql = self._connect()
        while not self._over.wait(rng.random() * BETWEEN):
            if is_busy(sql):
                continue
            # The ids are those of one sequence, so a partition is written to by its root alone.
            written = [each for each in tables(sql, "ledger") if PARTITION_NAME not in each.name]
            writer = Writer(sql, written, VALUES, rng, self.counts)
            try:
                writer.transaction()
            except UndefinedColumn as error:  # it was renamed a moment ago
                if "outbox_" in f"{error.diag.context}":
                    self.errors.append(str(error))
            except (psycopg.Error, AssertionError) as error:
                self.errors.append(f"an application's transaction failed: {error}")

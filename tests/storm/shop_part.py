"""The shop's part of one storm: its tables and projection, the looks at its index, and the judgement."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import psycopg

from engines.node import Node
from processes import Cli, environment
from schemas.judge import differences
from shop import DECLARATION, SCHEMA
from storm import troubles
from storm.fleet import SETTINGS
from storm.looking import DocumentLooks
from storm.plan import Plan, Site
from storm.report import PartReport, failed
from storm.traders import FILL, Traders
from storm.troubles import Troubles
from storm.weather import Weather

NAME = "product"
VIEW = "shop.product_revisions"
INTERVAL = 0.05  # seconds between two looks at what is written to
SELDOM = 20  # looks from one at all keys to the next
EVENTS = """
SELECT CASE WHEN follow IS NULL THEN 'of documents' WHEN follow < 0 THEN 'of all documents'
    ELSE 'of a category' END, count(*)
FROM search_outbox_events WHERE entity_type = %s GROUP BY 1 ORDER BY 1
"""
AMISS = """
SELECT count(*) FROM search_outbox_events WHERE entity_type = %s AND (status NOT IN ('done', 'failed')
    OR num_nonnulls(owner, lease_token, lease_until, processing_started_at) > 0 OR attempts > %s)
"""


class Shop:
    """Its projection is in force, and it is looked at, from the beginning to `close`."""

    def __init__(self, plan: Plan, site: Site, engine: Node, weather: Weather) -> None:
        env = environment(DATABASE_URL=site.url, ELASTIC_URL=site.sink, ELASTIC_INDEX=site.index)
        self._site, self._engine, self._cli = site, engine, Cli(env, site.folder)
        self._sql = psycopg.connect(site.url, autocommit=True)
        for statements in (SCHEMA, troubles.SCHEMA, FILL.format(stock=plan.stock)):
            self._sql.execute(statements.encode())
        file = Path(site.folder, "shop.toml")
        declaration = DECLARATION.format(index=site.products).replace(VIEW, troubles.VIEW)
        file.write_text(declaration, encoding="utf-8")
        self._cli.ok("projection", "apply", str(file), "--by", "storm", "--reason", "storm", "--yes")
        self.traders = Traders(plan, site.url)
        self.troubles = Troubles(self._sql, engine, site, weather, self._cli, plan.rng("troubles"))
        self.looks = DocumentLooks(engine, self._chosen, INTERVAL, gone=True)

    def _chosen(self, look: int) -> Iterator[tuple[str, list[str]]]:
        yield self._site.products, self.traders.recent() if look % SELDOM else self.traders.keys()

    def judge(self, sql: psycopg.Connection) -> tuple[PartReport, list[str]]:
        """The figures, and what is wrong; all must have been written and delivered."""
        self.looks.finish()
        wrong = differences(sql, self._engine, view=VIEW, keys=["id"], index=self._site.products)
        ((documents,),) = sql.execute(f"SELECT count(*) FROM {VIEW}".encode()).fetchall()
        verified = self._cli("verify")  # the built-in one too: each `_version`
        report = PartReport(
            NAME,
            transactions=dict(self.traders.counts),
            documents=documents,
            looks=self.looks.count,
            lost=len(wrong),
            went_back=len(self.looks.steps_back),
            application_errors=len(self.traders.errors),
            failed=failed(sql, NAME),
            events=dict(sql.execute(EVENTS, [NAME]).fetchall()),
            changes=dict(self.troubles.seen),
            changes_seen=self.looks.changes_seen,
            verify=verified.returncode,
        )
        wrong += [f"went back: {text}" for text in self.looks.steps_back] + self.traders.errors
        wrong += [f"{count} events of the shop failed: {reason}" for reason, count in report.failed.items()]
        ((amiss,),) = sql.execute(AMISS, [NAME, SETTINGS["OUTBOX_MAX_ATTEMPTS"]]).fetchall()
        wrong += [f"{amiss} events of the shop are not settled"] * (amiss > 0)
        wrong += [f"verify ends with {report.verify}: {verified.stdout}"] * (report.verify != 0)
        return report, wrong

    def close(self) -> None:
        """End its threads and their connections."""
        with closing(self._sql):
            self.troubles.finish()
        self.looks.close()
        self.traders.close()

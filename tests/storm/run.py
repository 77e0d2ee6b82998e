"""What a storm consists of, put together and taken apart again."""

from collections.abc import Callable
from contextlib import ExitStack, closing
from decimal import Decimal

import psycopg

from engines.node import Node
from processes import environment
from storm.application import Application, Author
from storm.fleet import SETTINGS, Fleet
from storm.judge import Judge
from storm.ledger import Ledger
from storm.plan import Plan, Site
from storm.report import Report
from storm.shop_part import Shop
from storm.storm import Storm
from storm.watch import VersionLooks, Watch
from storm.weather import proxied

AUTHORS = 2
WATCHED = 500  # documents whose versions are looked at all the time


def run(plan: Plan, site: Site, say: Callable[[str], None]) -> Report:
    """Storm, calm down and judge; whatever happens, no process and no thread is left."""
    with ExitStack() as stack:
        sql = stack.enter_context(psycopg.connect(site.url, autocommit=True))
        engine = Node(site.sink, number=Decimal)
        application = stack.enter_context(closing(_application(plan, site)))
        weather = stack.enter_context(proxied(plan.rng("weather"), site.sink))
        fleet = stack.enter_context(closing(_fleet(plan, site, weather.url, sql)))
        fleet.start(plan.workers)
        shop = stack.enter_context(closing(Shop(plan, site, engine))) if plan.transactions else None
        ledger = stack.enter_context(closing(Ledger(plan, site, engine))) if plan.transactions else None
        watched = [entity.document for entity in application.some(WATCHED)]
        watch = Watch(site.url, VersionLooks(engine, site.index, watched), fleet)
        storm = Storm(plan, site, sql, weather, application, fleet, watch, shop, ledger, say)
        with closing(watch):
            storm.rage()
            storm.calm()
        fleet.retire()
        report = storm.report()
        Judge(sql, engine, site.index).judge(report)
        storm.judge_parts(report)
        return report


def _application(plan: Plan, site: Site) -> Application:
    each = -(-plan.events // AUTHORS)
    authors = [
        Author(site.url, plan.rng(f"author {n}"), each, hot=plan.hot, per_entity=plan.per_entity)
        for n in range(AUTHORS)
    ]
    return Application(authors)


def _fleet(plan: Plan, site: Site, sink: str, sql: psycopg.Connection) -> Fleet:
    env = environment(DATABASE_URL=site.url, ELASTIC_URL=sink, ELASTIC_INDEX=site.index, **SETTINGS)
    env |= {"OUTBOX_BULK_SIZE": str(plan.batch), "OUTBOX_LEASE_SECONDS": str(plan.lease)}
    return Fleet(env, site.folder, sql)

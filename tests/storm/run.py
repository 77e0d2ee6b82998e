"""What a storm consists of, put together and taken apart again."""

from collections.abc import Callable
from contextlib import ExitStack, closing, nullcontext

import psycopg

from engines.node import Node
from processes import environment
from storm.application import Application, Author
from storm.fleet import SETTINGS, Fleet
from storm.judge import Judge
from storm.ledger.ledger import Ledger
from storm.nodes.part import NodesPart
from storm.plan import Plan, Site
from storm.report import Report
from storm.shop.shop import Shop
from storm.storm import Storm
from storm.watch import Looks, VersionLooks, Watch
from storm.weather import proxied

AUTHORS = 2
WATCHED = 500  # documents whose versions are looked at all the time


def run(plan: Plan, site: Site, say: Callable[[str], None]) -> Report:
    """Storm, calm down and judge; whatever happens, no process and no thread is left."""
    with ExitStack() as stack:
        sql = stack.enter_context(psycopg.connect(site.url, autocommit=True))
        engine = Node(site.sink.partition(",")[0])
        application = stack.enter_context(closing(_application(plan, site)))
        nodes = NodesPart(plan, site, site.cluster, sql) if site.cluster else None
        stack.enter_context(closing(nodes) if nodes else nullcontext())
        weather = nodes.weather if nodes else stack.enter_context(proxied(plan.rng("weather"), site.sink))
        fleet = stack.enter_context(closing(_fleet(plan, site, weather.url, sql)))
        fleet.start(plan.workers)
        shop = stack.enter_context(closing(Shop(plan, site, engine))) if plan.transactions else None
        ledger = stack.enter_context(closing(Ledger(plan, site))) if plan.transactions else None
        watch = Watch(site.url, _looks(application, engine, site.index, nodes), fleet)
        storm = Storm(plan, site, sql, weather, application, fleet, watch, nodes, shop, ledger, say)
        with closing(watch):
            storm.rage()
            storm.calm()
        fleet.retire()
        report = storm.report()
        Judge(sql, engine, site.index).judge(report)
        storm.judge_parts(report)
        return report


def _looks(application: Application, engine: Node, index: str, nodes: NodesPart | None) -> Looks:
    watched = application.some(WATCHED)
    if nodes:
        return nodes.look_at(watched)
    return VersionLooks(engine, index, [entity.document for entity in watched])


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
    if plan.late:
        env |= {"OUTBOX_OUTAGE_POLICY": "hold", "OUTBOX_LATE_WRITE_SECONDS": str(plan.late)}
    return Fleet(env, site.folder, sql)

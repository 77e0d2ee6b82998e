"""Both databases under load while workers are killed, and the judgement by SELECT and the engine."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, suppress
from dataclasses import dataclass
from decimal import Decimal
from random import Random
from time import monotonic, sleep, time

import psycopg
from psycopg.errors import DeadlockDetected

from engines.node import Node
from invariants import unexpected_errors
from processes import Cli, environment
from schemas.load.application import SCHEMAS, Application
from schemas.load.plan import Plan
from schemas.load.report import Report, longest
from schemas.place import FAILED, UNFINISHED, Place
from storm.fleet import SETTINGS, Blow, Fleet
from storm.plan import Site

TICK = 0.1
SECONDLY = 1.0
SLACK = 3.0  # seconds beside a lease until what a killed worker held is claimed again
OLDEST = """
SELECT entity_type || CASE WHEN follow = -1 THEN ', all' WHEN follow >= 0 THEN ', followed' ELSE '' END,
    extract(epoch FROM now() - min(created_at))::float8
FROM search_outbox_events WHERE status IN ('pending', 'processing') GROUP BY 1
"""
EVENTS = """
SELECT count(*), count(follow), count(follow) FILTER (WHERE status = 'done'),
    coalesce(extract(epoch FROM max(processed_at))::float8, 0)
FROM search_outbox_events WHERE created_at >= to_timestamp(%s)
"""


def run(plan: Plan, site: Site, say: Callable[[str], None]) -> Report:
    """Fill, write and kill, wait and judge; whatever happens, no process and no thread is left."""
    env = environment(DATABASE_URL=site.url, ELASTIC_URL=site.sink, ELASTIC_INDEX=site.index, **SETTINGS)
    env |= {"OUTBOX_LEASE_SECONDS": f"{plan.lease:g}"}
    with ExitStack() as stack:
        sql = stack.enter_context(psycopg.connect(site.url, autocommit=True))
        places = [Place(schema, sql, Cli(env, site.folder), site.folder) for schema in SCHEMAS]
        engine = Node(site.sink, number=Decimal)
        for place in places:
            stack.callback(place.remove, engine)
        fleet = stack.enter_context(closing(Fleet(env, site.folder, sql)))
        fleet.start(plan.workers)
        return Load(plan, site, sql, fleet, places, engine, say, Random(f"{plan.seed}/kills")).run()


@dataclass
class Load:
    """One run, on tables that are filled and workers that have started."""

    plan: Plan
    site: Site
    sql: psycopg.Connection
    fleet: Fleet
    places: list[Place]
    engine: Node
    say: Callable[[str], None]
    rng: Random

    def run(self) -> Report:
        """The first fill, the load, the rest, and the judgement."""
        report = Report(self.plan.seed)
        self._wait("the first fill")
        own = {self.sql.info.backend_pid}
        with closing(Application(self.plan, self.site.url, own)) as application:
            began = time()
            self._strike(report)
            ended = application.finish()
        report.seconds, report.application = ended - began, application.counts
        report.wrong += application.errors
        if not self._wait("the last document"):
            report.wrong.append(f"events still wait {self.plan.patience:g} s after the last write")
        self._judge(report, began, ended)
        return report

    def _strike(self, report: Report) -> None:
        """Until the end of the load; what a schema makes later comes at half of it."""
        began, end = monotonic(), self.plan.seconds
        due = [(at, self._kill) for at in self._kills()] + [(end / 2, self._later)]
        due.sort(key=lambda each: -each[0])
        while (at := monotonic() - began) < end:
            while due and due[-1][0] < at:
                due.pop()[1]()
            self.fleet.tend()
            report.oldest = longest(report.oldest, self._oldest())
            sleep(SECONDLY)
        report.kills = self.fleet.blows[Blow.KILL]

    def _kills(self) -> Iterator[float]:
        """When a worker is killed: none so late that what it held comes back after the last write."""
        last = self.plan.seconds - self.plan.lease - SLACK
        return (n * self.plan.kill_every for n in range(1, 1 + int(last / self.plan.kill_every)))

    def _kill(self) -> None:
        self.fleet.strike(Blow.KILL, self.fleet.victim(Blow.KILL, self.rng), self.rng)

    def _later(self) -> None:
        for place in self.places:
            while place.schema.LATER:
                with suppress(DeadlockDetected):  # with the application: it takes locks on several tables
                    self.sql.execute(place.schema.LATER)
                    break

    def _wait(self, what: str) -> bool:
        """Whether no event is unfinished within the plan's patience."""
        end, said = monotonic() + self.plan.patience, monotonic()
        while self.sql.execute(UNFINISHED).rowcount:
            if monotonic() > end:
                return False
            self.fleet.tend()
            if monotonic() > said + SECONDLY:
                said = monotonic()
                self.say(f"{what}: the oldest event is {max(self._oldest().values(), default=0):.0f} s old")
            sleep(TICK)
        return True

    def _oldest(self) -> dict[str, float]:
        """Seconds that the oldest unfinished event of each kind has waited."""
        return dict(self.sql.execute(OLDEST).fetchall())

    def _judge(self, report: Report, began: float, ended: float) -> None:
        """What the events say, then every document against its row."""
        (row,) = self.sql.execute(EVENTS, [began]).fetchall()
        report.events, report.follow_events, expanded, last = row
        report.right_after = max(0.0, last - ended)
        report.follow_rate = expanded / (max(last, ended) - began)
        report.wrong += [f"failed: {row}" for row in self.sql.execute(FAILED).fetchall()]
        report.wrong += self.fleet.deaths + unexpected_errors(self.fleet.logs())
        for place in self.places:
            report.documents = {**report.documents, **place.counts(self.engine)}
            report.wrong += place.differences(self.engine)

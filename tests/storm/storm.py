"""One storm from its first event to the judgement."""

import re
from collections.abc import Callable
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from decimal import Decimal
from time import monotonic, sleep

import psycopg

from engines.node import Node
from invariants import unexpected_errors
from processes import environment
from storm.application import Application, Author
from storm.fleet import SETTINGS, Blow, Fleet
from storm.judge import Judge
from storm.ledger import Ledger
from storm.looking import DocumentLooks
from storm.plan import Plan, Site
from storm.report import Course, Report
from storm.shop_part import Shop
from storm.watch import INTERVAL, Watch
from storm.weather import Weather, proxied

BEHIND = 20  # transactions of the shop that have not begun at which the next blow waits
AUTHORS = 2
WATCHED = 500  # documents of search_index that are looked at all the time
TICK = 0.05
SECONDLY = 1.0  # from one line of progress to the next
RECLAIMED = re.compile(r"Reclaimed (\d+) stuck outbox events")
UNDER_WAY = "SELECT count(*) FROM search_outbox_events WHERE status IN ('pending', 'processing')"
AGAIN = "SELECT coalesce(sum(attempts - 1), 0) FROM search_outbox_events WHERE attempts > 1"


@dataclass
class Storm:
    """Each round: some events more, then one blow while they are under way."""

    plan: Plan
    site: Site
    sql: psycopg.Connection
    weather: Weather
    application: Application
    fleet: Fleet
    watch: Watch
    documents: DocumentLooks
    shop: Shop | None
    ledger: Ledger | None
    say: Callable[[str], None]
    wrong: list[str] = field(default_factory=list)
    began: float = field(default_factory=monotonic)
    due: float = 0  # when the next line of progress is

    def rage(self) -> None:
        """Until all events are written and all blows are dealt."""
        rng = self.plan.rng("blows")
        self._until(self.fleet.all_well, "all workers are well")
        self.weather.begin()
        if self.shop:
            self.shop.troubles.begin()
        blows = [*Blow] * -(-self.plan.kills // len(Blow))
        rng.shuffle(blows)
        for number, blow in enumerate(blows):
            victim = self.fleet.victim(blow, rng)
            self._write(number, len(blows))
            self._until(lambda: self._count(UNDER_WAY) < self.plan.backlog, "the backlog shrinks")
            self._until(lambda: self._behind() <= BEHIND, "the shop writes")
            self.fleet.strike(blow, victim, rng)
            self._progress()
        self.application.finish()
        self._until(lambda: not self._behind(), "the shop has written all")
        if self.ledger:
            self.ledger.finish()

    def calm(self) -> None:
        """No more faults: everything must come to its end, and each worker be well."""
        self.weather.clear()
        if self.shop:
            self.shop.troubles.finish()
        self._until(self.weather.over, "late requests have arrived")
        self._until(lambda: not self._count(UNDER_WAY), "no event is under way")
        if self.shop:
            self.shop.troubles.replay()
            self._until(lambda: not self._count(UNDER_WAY), "what was broken is delivered")
        self._until(self.fleet.all_well, "all workers are well")
        self._until(self.watch.none_too_many, "the sessions that were cut off are gone")

    def report(self) -> Report:
        """The figures."""
        log = self.fleet.logs()
        self.wrong += self.fleet.deaths + [f"stepped back: {text}" for text in self.documents.steps_back]
        self.wrong += errors_of_workers(log)
        return Report(
            seed=self.plan.seed,
            events=self.application.committed,
            seconds=monotonic() - self.began,
            blows={blow.value: self.fleet.blows[blow] for blow in Blow},
            faults=dict(sorted(self.weather.seen.items())),
            requests=self.weather.requests,
            reclaimed=sum(map(int, RECLAIMED.findall(log))),
            resent=self._count(AGAIN),
            looks=self.documents.count,
            memory=Course.of(self.watch.memory),
            connections=Course.of(self.watch.connections),
            wrong=self.wrong,
        )

    def judge_parts(self, report: Report) -> None:
        """Complete the report by what is judged apart."""
        for part in (self.shop, self.ledger):
            if part:
                figures, wrong = part.judge(self.sql)
                report.parts.append(figures)
                report.wrong += wrong

    def _write(self, number: int, parts: int) -> None:
        """Have one part of all that is to be written."""
        self.application.write(_share(self.plan.events, number, parts))
        if self.shop:
            self.shop.traders.write(_share(self.plan.transactions, number, parts))

    def _behind(self) -> int:
        """Transactions of the shop that have not begun."""
        return self.shop.traders.behind() if self.shop else 0

    def _until(self, check: Callable[[], bool], what: str) -> None:
        end = monotonic() + self.plan.patience
        while not check():
            if monotonic() > end:
                self.wrong.append(f"not within {self.plan.patience:g} s: {what}")
                return
            self.fleet.tend()
            self._progress()
            sleep(TICK)

    def _progress(self) -> None:
        if monotonic() < self.due:
            return
        self.due = monotonic() + SECONDLY
        written = self.application.committed
        of_shop = f"{sum(self.shop.traders.made):,} transactions of the shop, " if self.shop else ""
        self.say(
            f"{monotonic() - self.began:4.0f} s  {written:,} of {self.plan.events:,} events written, "
            f"{of_shop}{self._count(UNDER_WAY):,} events under way, "
            f"{self.fleet.blows.total()} blows, {self.weather.seen.total():,} faults, "
            f"{self.weather.requests:,} requests"
        )

    def _count(self, query: str) -> int:
        return sum(count for (count,) in self.sql.execute(query).fetchall())


def errors_of_workers(log: str) -> list[str]:
    """What is wrong by the workers' log: errors that no rule expects, with the first of them."""
    found = unexpected_errors(log)
    return [f"{len(found)} unexpected errors in the workers' log, such as {found[0]}"] if found else []


def _share(of: int, number: int, parts: int) -> int:
    """How much of it the part of this number has."""
    share, rest = divmod(of, parts)
    return share + (number < rest)


def run(plan: Plan, site: Site, say: Callable[[str], None]) -> Report:
    """Storm, calm down and judge; whatever happens, no process and no thread is left."""
    with ExitStack() as stack:
        sql = stack.enter_context(psycopg.connect(site.url, autocommit=True))
        engine = Node(site.sink, number=Decimal)
        application = stack.enter_context(closing(_application(plan, site)))
        weather = stack.enter_context(proxied(plan.rng("weather"), site.sink))
        fleet = stack.enter_context(closing(_fleet(plan, site, weather.url, sql)))
        fleet.start(plan.workers)
        shop = stack.enter_context(closing(Shop(plan, site, engine, weather))) if plan.transactions else None
        ledger = stack.enter_context(closing(Ledger(plan, site, engine))) if plan.transactions else None
        watched = [entity.document for entity in application.some(WATCHED)]
        documents = DocumentLooks(engine, lambda _: [(site.index, watched)], INTERVAL, gone=False)
        watch = Watch(site.url, fleet)
        storm = Storm(plan, site, sql, weather, application, fleet, watch, documents, shop, ledger, say)
        with closing(watch), closing(documents):
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
    env |= {"OUTBOX_OUTAGE_POLICY": plan.policy} if plan.policy else {}
    return Fleet(env, site.folder, sql)

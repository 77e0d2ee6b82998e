"""One storm from its first event to the judgement."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from time import monotonic, sleep

import psycopg

from invariants import unexpected_errors
from storm.application import Application
from storm.fleet import Fleet
from storm.ledger import Ledger
from storm.place import Blow
from storm.plan import Plan, Site
from storm.report import Course, Report
from storm.shop_part import Shop
from storm.watch import Watch
from storm.weather import Weather

BEHIND = 20  # transactions of the shop that have not begun at which the next blow waits
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
        self._until(self.weather.over, "late requests have arrived")
        self._until(lambda: not self._count(UNDER_WAY), "no event is under way")
        self._until(self.fleet.all_well, "all workers are well")
        self._until(self.watch.none_too_many, "the sessions that were cut off are gone")

    def report(self) -> Report:
        """The figures."""
        log = self.fleet.logs()
        self.wrong += self.fleet.deaths + [
            f"stepped back: {text}" for text in self.watch.documents.steps_back
        ]
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
            looks=self.watch.looks,
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

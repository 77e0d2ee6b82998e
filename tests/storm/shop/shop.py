"""The shop's part of one storm: its application, the watch on its index, and the judgement."""

import psycopg

from engines.node import Node
from processes import Cli, environment
from storm.plan import Plan, Site
from storm.shop.application import ShopApplication, open_shop
from storm.shop.judge import ShopJudge
from storm.shop.report import ShopReport
from storm.shop.schema import NAME
from storm.shop.watch import ShopWatch


class Shop:
    """Its projection is in force, and it is looked at, from the beginning to `close`."""

    def __init__(self, plan: Plan, site: Site, engine: Node) -> None:
        env = environment(DATABASE_URL=site.url, ELASTIC_URL=site.sink, ELASTIC_INDEX=site.index)
        self._site, self._engine, self._cli = site, engine, Cli(env, site.folder)
        open_shop(plan, site, self._cli)
        self.application = ShopApplication(plan, site.url)
        self.watch = ShopWatch(engine, site.products, self.application)

    def judge(self, sql: psycopg.Connection) -> tuple[ShopReport, list[str]]:
        """The figures, and what is wrong; all must have been written and delivered."""
        self.watch.close()
        application, judge = self.application, ShopJudge(sql, self._engine, self._site.products)
        report = ShopReport(transactions=dict(application.counts), application_errors=len(application.errors))
        wrong = judge.judge(report, self.watch.looks) + judge.unrecorded(application) + application.errors
        wrong += [f"stepped back: {text}" for text in self.watch.steps_back]
        report.went_back += len(self.watch.steps_back)
        report.looks, report.different = self.watch.count, sum(map(len, self.watch.looks.values()))
        verified = self._cli("verify", "--projection", NAME)
        report.verify = verified.returncode
        wrong += [f"verify ends with {report.verify}: {verified.stdout}"] * (report.verify != 0)
        return report, wrong

    def close(self) -> None:
        """End its threads and their connections."""
        self.watch.close()
        self.application.close()

"""A storm of half a minute: nothing is lost, nothing comes back, nothing fails."""

from pathlib import Path

import pytest

from servers import Servers
from storm.fleet import Blow
from storm.plan import Plan, Site
from storm.storm import run

PLAN = Plan(
    events=3_000, kills=30, transactions=500, stock=200, batch=30
)  # small batches: many are struck twice and then sent one by one


@pytest.mark.slow(reason="writes 3,000 events, and 500 transactions of a shop, while 30 faults are injected")
@pytest.mark.real_engine
def test_nothing_is_amiss_after_a_storm(url: str, servers: Servers, index: str, tmp_path: Path) -> None:
    report = run(PLAN, Site(url, servers.sink, index, tmp_path), say=print)
    assert report.wrong == [], report.text()
    assert report.events == PLAN.events
    assert all(count >= 5 for count in report.blows.values())
    assert set(report.blows) == {*Blow}
    assert report.faults
    assert report.reclaimed > 0, "the blows must have hit"
    assert (report.lost, report.resurrected, report.failed) == (0, 0, {})
    shop, ledger = report.parts
    assert (shop.lost, shop.went_back, shop.verify, ledger.lost, ledger.went_back) == (0, 0, 0, 0, 0)
    assert shop.transactions["COMMIT"] > PLAN.transactions / 2
    assert shop.events.keys() == {"of documents", "of a category", "of all documents"}
    assert shop.changes_seen > 100, f"the watch must have seen documents change: {shop}"

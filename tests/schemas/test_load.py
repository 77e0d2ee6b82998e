"""Databases as large as public ones, an application at work, workers killed: every document is its row."""

from pathlib import Path

import pytest

from schemas.load.plan import Plan
from schemas.load.run import run
from servers import Servers
from storm.plan import Site

PLAN = Plan(seconds=20, rate=20, workers=2, kill_every=4, lease=2, patience=120)


@pytest.mark.slow(reason="an application writes for 20 s to two databases of 60,000 rows")
@pytest.mark.real_engine
def test_no_document_is_wrong_after_a_load_with_workers_killed(
    url: str, servers: Servers, index: str, tmp_path: Path
) -> None:
    report = run(PLAN, Site(url, servers.sink, index, tmp_path), print)
    assert report.wrong == [], report.text()
    assert report.kills >= 3
    assert report.follow_events > 100
    assert report.application["transactions"] > PLAN.seconds * PLAN.rate / 2
    assert report.application["emptied and copied"] > 0
    assert report.documents["rental"] > 10_000
    assert report.documents["track"] > 3_000

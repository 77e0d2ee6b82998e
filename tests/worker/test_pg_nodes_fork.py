"""Two PostgreSQL servers, both primaries for a while: workers go to the promoted one and stay there."""

from collections.abc import Callable

import pytest

from processes import Worker, eventually
from scene import ready
from worker.pg_nodes import Pair

QUICK = {"OUTBOX_BULK_SIZE": "20", "OUTBOX_CONCURRENCY": "2", "OUTBOX_LEASE_SECONDS": "5"}
SLOW = pytest.mark.slow(reason="a server of its own and a standby, promoted")
SESSIONS = (
    "SELECT FROM pg_stat_activity WHERE application_name = 'outboxctl' AND datname = current_database()"
)

pytestmark = pytest.mark.real_engine


@SLOW
def test_a_frozen_primary_is_left_for_the_promoted_standby_and_not_gone_back_to(
    two: Pair, worker: Callable[..., Worker]
) -> None:
    with two.at(two.primary) as before:
        before.load(500)
        running = worker(**QUICK, DATABASE_URL=two.both)
        eventually(lambda: before.count("done") > 100, what="under way")
        two.catch_up()
    two.primary.freeze()
    two.promote()
    with two.at(two.standby) as after:
        after.load(50)
        eventually(lambda: after.count("done") == 550, within=40, what="all of it, at the new primary")
        assert set(after.rows("attempts")) <= {(1,), (2,)}
        two.primary.wake()
        fresh = worker(**QUICK, DATABASE_URL=two.both)
        eventually(lambda: ready(fresh), what="a worker that starts while there are two primaries")
        after.load(100)
        after.holds(650)
        running.end()
        after.load(20)
        after.holds(670)
    with two.at(two.primary) as old:
        assert old.sql.execute(SESSIONS).rowcount == 0


@SLOW
def test_a_primary_that_was_left_behind_is_left_while_it_still_answers(
    two: Pair, worker: Callable[..., Worker]
) -> None:
    running = worker(**QUICK, DATABASE_URL=two.both)
    eventually(lambda: ready(running), what="started")
    two.catch_up()
    two.promote()
    with two.at(two.standby) as new, two.at(two.primary) as old:
        new.load(30)
        eventually(lambda: new.count("done") == 30, within=20, what="goes on at the new primary")
        new.finished_by(running, 30)
        old.load(5)
        eventually(lambda: not old.sql.execute(SESSIONS).rowcount, what="no session is left at the old one")
        assert old.rows("status, attempts") == [("pending", 0)]
    (left,) = [line for line in running.log.read_text().splitlines() if "left a PostgreSQL server" in line]
    assert f"127.0.0.1:{two.primary.port} (timeline 1)" in left
    assert f"127.0.0.1:{two.standby.port} (timeline 2)" in left

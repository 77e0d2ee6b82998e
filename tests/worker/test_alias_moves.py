"""What a rebuild's block refuses waits for the move of the alias; any other block is an outage as before."""

import psycopg
import pytest

from outboxctl.core.database import Database
from outboxctl.core.operator import rebuilds
from outboxctl.core.operator.rebuilds import SWAPPING, RebuildPhase
from outboxctl.domain.failures import DONE, Classification, OutageScope, Reason, Verdict
from outboxctl.sink.delivery.result import Delivery
from outboxctl.worker.lane.delivering import waiting_for_move

BLOCKED = Classification(Verdict.OUTAGE, Reason.WRITE_BLOCKED, error="403 cluster_block_exception")
DELIVERY = Delivery([DONE, BLOCKED], [])


@pytest.fixture
def moves(db: Database) -> None:
    """A rebuild of `books` is about to move the alias, and no process goes on with it."""
    with db.begin() as connection:
        row = rebuilds.begin(
            connection,
            action="rebuild",
            alias="books",
            old_index="books-000001",
            new_index="books-000002",
            concrete=False,
            body={},
            phase=RebuildPhase.SWAP,
            operator="alice",
            reason="new analyzer",
            grace_seconds=60,
        )
        rebuilds.save(connection, row, **SWAPPING)


@pytest.mark.usefixtures("moves")
@pytest.mark.parametrize("runs", [True, False])
def test_it_waits_with_its_attempt_and_comes_back_soon_while_the_rebuild_runs(
    runs: bool, db: Database
) -> None:
    with db.begin() as held:
        if runs:
            assert rebuilds.lock(held, "books")
        done, waiting = waiting_for_move(db, ["books"] * 2, DELIVERY).findings
    assert done is DONE
    assert waiting
    assert (waiting.reason, waiting.scope) == (Reason.WRITE_BLOCKED, OutageScope.INDEX)
    assert waiting.attempt_returned
    assert waiting.passing is runs


@pytest.mark.usefixtures("moves")
def test_a_block_of_another_index_or_after_the_move_is_an_outage(
    db: Database, sql: psycopg.Connection
) -> None:
    assert waiting_for_move(db, ["films"] * 2, DELIVERY) == DELIVERY
    sql.execute("UPDATE outbox_rebuilds SET phase = 'reconcile'")
    assert waiting_for_move(db, ["books"] * 2, DELIVERY) == DELIVERY

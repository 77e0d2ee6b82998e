"""`doctor` names a rebuild that was interrupted while its index takes no writes, and the way on."""

import psycopg
import pytest

from outboxctl.core.database import Database
from outboxctl.core.operator import rebuilds
from outboxctl.core.operator.rebuilds import SWAPPING, RebuildPhase
from outboxctl.operations.doctor.model import End
from outboxctl.operations.doctor.projection_rules import interrupted
from outboxctl.settings import load

ID = "rebuild-interrupted-move"


@pytest.mark.parametrize(
    ("action", "body", "mend"),
    [
        ("rebuild", {}, "outboxctl rebuild --yes  # or ends it: outboxctl index abort"),
        (
            "rollback",
            {"projection": "stock"},
            "outboxctl index rollback --projection stock --yes  # or ends it: "
            "outboxctl index abort --projection stock",
        ),
    ],
)
def test_an_interrupted_move_of_an_alias(
    action: str, body: dict[str, str], mend: str, db: Database, sql: psycopg.Connection
) -> None:
    with db.begin() as connection:
        row = rebuilds.begin(
            connection,
            action=action,
            alias="books",
            old_index="books-000001",
            new_index="books-000002",
            concrete=False,
            body=body,
            phase=RebuildPhase.SWAP,
            operator="alice",
            reason="new analyzer",
            grace_seconds=60,
        )
        assert rebuilds.interrupted_moves(connection) == [], "nothing is blocked before that is saved"
        rebuilds.save(connection, row, **SWAPPING)
    with db.begin() as held:
        assert rebuilds.lock(held, "books")
        with db.begin() as connection:
            assert rebuilds.interrupted_moves(connection) == [], "its process runs"
    with db.begin() as connection:
        (finding,) = interrupted.findings(End.DATABASE, rebuilds.interrupted_moves(connection), load())
    assert (finding.id, finding.mend) == (ID, mend)
    assert finding.what == f"A {action} of books was interrupted while it moved the alias."
    sql.execute("UPDATE outbox_rebuilds SET ended_at = now()")
    with db.begin() as connection:
        assert rebuilds.interrupted_moves(connection) == []

"""The fate of a transaction whose answer was lost, and of one that never came to an end."""

from contextlib import suppress

from outboxctl.core import commits
from outboxctl.core.database import Database


def broken_off(db: Database) -> str:
    """The id of a transaction that was rolled back."""
    transaction = ""
    with suppress(KeyError), db.begin() as connection:
        transaction = commits.current(connection)
        raise KeyError
    return transaction


def test_a_commit_is_remembered(db: Database) -> None:
    with db.begin() as connection:
        transaction = commits.current(connection)
    with db.begin() as connection:
        assert commits.committed(connection, transaction)


def test_what_was_rolled_back_or_is_under_way_has_not_committed(db: Database) -> None:
    transaction = broken_off(db)
    with db.begin() as connection:
        assert not commits.committed(connection, transaction)
    with db.begin() as first, db.begin() as second:
        assert not commits.committed(second, commits.current(first))

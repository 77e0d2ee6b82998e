"""Closing failed events by an operator's word: audited, chosen, and rehearsed first."""

import uuid

from acceptance import lab
from processes import Cli

WHO = ("--by", "alice", "--reason", "test data")
DISCARD = ("failed", "discard", *WHO)


def _fail(sql: lab.Sql, reason: str) -> uuid.UUID:
    event = lab.event(sql, uuid.uuid4(), status="failed")
    query = (
        "UPDATE search_outbox_events SET attempts = 1, error_reason = %s, error = 'it broke' WHERE id = %s"
    )
    sql.execute(query, [reason, event])
    return event


def test_only_what_was_chosen_is_closed_and_who_did_it_is_known(cli: Cli, sql: lab.Sql) -> None:
    closed, kept = _fail(sql, "mapping"), _fail(sql, "connect")
    before = lab.event_row(sql, kept)
    seen = cli.json(*DISCARD, "--error-reason", "mapping")
    assert (seen["matched"], seen["discarded"], seen["ids"]) == (1, 1, [str(closed)])
    row = lab.event_row(sql, closed)
    assert (row["status"], row["error_reason"], row["error"]) == ("done", "discarded", "it broke")
    assert row["processed_at"] is not None
    assert lab.event_row(sql, kept) == before
    (audit,) = cli.json("audit")["audit"]
    assert (audit["action"], audit["operator"], audit["id"]) == ("discard", "alice", seen["audit_id"])

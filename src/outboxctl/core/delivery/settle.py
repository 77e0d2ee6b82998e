"""Settle: the outcomes of one claim's events are written, one statement for each kind of them.

Each statement is guarded by the lease token and returns the ids that it changed. The others' leases ran out:
they are counted, and no error.
"""

import json
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from outboxctl.core.delivery.diagnosis import TRANSACTION_ID
from outboxctl.core.message import PlannedOnce, Statement, send
from outboxctl.core.schema.names import EVENTS, PLAN, STATUS_IS, UNHELD, id_array, source, target
from outboxctl.core.sql import Connection, text
from outboxctl.core.sql.transaction import StatementResult
from outboxctl.domain.failures import Reason
from outboxctl.domain.lifecycle import Verb

# Undelivered events are joined with an outcome each. A nested loop would compare each event with every
# outcome (1,000 settled in 700 instead of 10 ms): the planner may use a hash join only.
JOIN = f"{PLAN}; SET LOCAL enable_hashjoin = on; SET LOCAL enable_nestloop = off"

COMPLETE = text(f"""
UPDATE {EVENTS} SET status = {target(Verb.COMPLETE)}, processed_at = now(),
    next_retry_at = NULL, error_reason = NULL, error = NULL, {UNHELD}, updated_at = now()
WHERE id = ANY (CAST(:ids AS uuid[])) AND {STATUS_IS} {source(Verb.COMPLETE)}
    AND lease_token = CAST(:token AS uuid)
""")
TYPES = {"token": "uuid", "ids": "uuid[]"}  # of its parameters

# An event of each of these documents of a page that is completed by the same transaction. Their age begins
# anew: a worker may choose no time.
SPLIT = text(f"""
INSERT INTO {EVENTS} (entity_type, entity_id, op, entity_key)
SELECT e.entity_type, CAST(md5(concat(e.entity_type, ':', key)) AS uuid), 'upsert', key
FROM {EVENTS} e CROSS JOIN json_array_elements_text(CAST(:keys AS json)) key
WHERE e.id = CAST(:id AS uuid) AND e.{STATUS_IS} {source(Verb.COMPLETE)}
    AND e.lease_token = CAST(:token AS uuid)
""")

# Executed only where the row count is short: a thousand returned ids cost the worker half a microsecond each.
# A row that this transaction wrote has its id as xmin.
WRITTEN = text(f"""
SELECT id::text FROM {EVENTS}
WHERE id = ANY (CAST(:ids AS uuid[])) AND xmin = pg_current_xact_id()::xid
""")

# Rows that others have locked are skipped: a release happens at a stop, which cannot wait.
CLAIMS = "lease_token = ANY (CAST(:tokens AS uuid[]))"
RELEASE = text(f"""
UPDATE {EVENTS} SET status = {target(Verb.RELEASE)}, attempts = greatest(attempts - 1, 0), {UNHELD},
    updated_at = now()
WHERE id = ANY (ARRAY (
    SELECT id FROM {EVENTS} WHERE {CLAIMS} AND status = {source(Verb.RELEASE)}
        AND (CAST(:ids AS uuid[]) IS NULL OR id = ANY (CAST(:ids AS uuid[])))
    FOR NO KEY UPDATE SKIP LOCKED))
    AND {STATUS_IS} {source(Verb.RELEASE)} AND {CLAIMS}
RETURNING id::text
""")

# The same lock as an update's: a foreign key that refers to the row does not conflict.
HELD = f"SELECT id::text FROM {EVENTS} WHERE {CLAIMS} AND status = {source(Verb.COMPLETE)}"
HOLD = text(f"{HELD} FOR NO KEY UPDATE SKIP LOCKED")
HELD_ROWS = text(HELD)

# Both leave processing: what is to be tried again after a delay, and what has none, and fails.
UNDELIVERED = text(f"""
UPDATE {EVENTS} e SET
    status = CASE WHEN n.delay IS NULL THEN {target(Verb.FAIL)} ELSE {target(Verb.RETRY)} END,
    attempts = greatest(e.attempts - n.returned, 0), next_retry_at = now() + make_interval(secs => n.delay),
    error_reason = n.reason, error = n.error, {UNHELD}, updated_at = now()
FROM unnest(CAST(:ids AS uuid[]), CAST(:delays AS float8[]), CAST(:reasons AS text[]),
    CAST(:errors AS text[]), CAST(:returned AS int[])) n (id, delay, reason, error, returned)
WHERE e.id = ANY (CAST(:ids AS uuid[])) AND e.id = n.id
    AND e.{STATUS_IS} {source(Verb.RETRY)} AND e.lease_token = CAST(:token AS uuid)
RETURNING e.id::text
""")


@dataclass(frozen=True, slots=True)
class Undelivered:
    """Back to pending, due again `delay` seconds from now; without one failed until an operator replays it.

    `attempt_returned`: this attempt does not count.
    """

    id: str
    reason: Reason
    error: str
    delay: float | None = None
    attempt_returned: bool = False


class Settled(NamedTuple):
    """The transaction that wrote outcomes, for `diagnosis.commit_fate`, and the ids that it hit."""

    transaction: str
    hit: set[str]


def release(
    connection: Connection,
    tokens: Sequence[str],
    *,
    only: Collection[str] | None = None,
) -> set[str]:
    """Release claims, with their attempts, `only` these events of them if set; returns the ids still held.

    Events that somebody else has locked stay.
    """
    return _ids(send(connection, *_releasing(tokens, only)))


def hold(connection: Connection, token: str) -> set[str]:
    """Lock the events that a claim still holds and nobody else has locked; returns their ids."""
    return _ids(send(connection, PLAN, (HOLD, {"tokens": [token]})))


def held(connection: Connection, tokens: Sequence[str]) -> set[str]:
    """The ids that these claims still hold, locked or not."""
    return _ids(send(connection, PLAN, (HELD_ROWS, {"tokens": list(tokens)})))


def write(
    connection: Connection,
    token: str,
    *,
    done: Sequence[str] = (),
    undelivered: Sequence[Undelivered] = (),
    released: Collection[str] = (),
    splits: Sequence[tuple[str, Sequence[str]]] = (),
    more: Sequence[Statement] = (),
) -> Settled:
    """Write all outcomes of one claim in one message, and give back the `released` with their attempts.

    `splits`: of some among `done`, the keys that have an event each from now on.
    `more`: further statements of the same transaction, which return no rows and depend on no event that the
    claim may have lost (`deletes.inserting`, `places.settling`).
    """
    statements: list[Statement | PlannedOnce | str] = [(TRANSACTION_ID, {})]
    for id_, keys in splits:
        values = {"token": token, "id": id_, "keys": json.dumps(keys, ensure_ascii=False)}
        statements += [PLAN, (SPLIT, values)]
    if done:
        statements += [PLAN, PlannedOnce(COMPLETE, {"token": token, "ids": id_array(done)}, TYPES)]
    if undelivered:
        statements += _undelivered(token, undelivered)
    if released:
        statements += _releasing([token], released)
    if more:
        statements += [PLAN, *more]
    first, *answers = send(connection, *statements)
    answers = answers[len(splits) :]
    hit = _ids(answers)
    if done:
        hit |= _completed(connection, done, answers[0].size)
    return Settled(first.rows[0][0], hit)


def _completed(connection: Connection, ids: Sequence[str], size: int) -> set[str]:
    return {*ids} if size == len(ids) else _ids(send(connection, (WRITTEN, {"ids": id_array(ids)})))


def _undelivered(token: str, events: Sequence[Undelivered]) -> list[Statement | str]:
    values = {
        "token": token,
        "ids": id_array([e.id for e in events]),
        "delays": [e.delay for e in events],
        "reasons": [e.reason.value for e in events],
        "errors": [e.error for e in events],
        "returned": [int(e.attempt_returned) for e in events],
    }
    return [JOIN, (UNDELIVERED, values)]


def _releasing(tokens: Sequence[str], only: Collection[str] | None) -> list[Statement | str]:
    values = {"tokens": list(tokens), "ids": None if only is None else id_array(list(only))}
    return [PLAN, (RELEASE, values)]


def _ids(answers: Iterable[StatementResult]) -> set[str]:
    """What the statements returned: each row is an id."""
    return {id_ for answer in answers for (id_,) in answer.rows}

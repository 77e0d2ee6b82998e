"""Settle: the outcomes of one claim's events are written, one statement an outcome.

Each statement is guarded by the lease token and returns the ids that it changed. The others' leases ran out:
they are counted, and no error.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import Connection, text

from outboxctl.core.deferred import StatementResult
from outboxctl.core.delivery.claim import PLAN
from outboxctl.core.delivery.deletes import NOTED
from outboxctl.core.delivery.diagnosis import TRANSACTION_ID
from outboxctl.core.message import Statement, send
from outboxctl.core.schema.encoding import encoding_of, storable
from outboxctl.core.schema.names import EVENTS, STATUS_IS, UNHELD, id_array, source, target
from outboxctl.domain.failures import Reason
from outboxctl.domain.lifecycle import Verb


@dataclass(frozen=True, slots=True)
class Retry:
    """Back to pending, due again `delay` seconds from now; `attempt_returned`: this one does not count."""

    id: str
    delay: float
    reason: Reason
    error: str
    attempt_returned: bool = False


@dataclass(frozen=True, slots=True)
class Failure:
    """Terminal until an operator replays it."""

    id: str
    reason: Reason
    error: str


class Settled(NamedTuple):
    """The transaction that wrote outcomes, for `diagnosis.commit_fate`, and the ids that it hit."""

    transaction: str
    hit: set[str]


# Retries and failures are joined with an outcome each. A nested loop would compare each event with every
# outcome (1,000 settled in 700 instead of 10 ms): the planner may use a hash join only.
JOIN = f"{PLAN}; SET LOCAL enable_hashjoin = on; SET LOCAL enable_nestloop = off"

COMPLETED = f"""
UPDATE {EVENTS} SET status = {target(Verb.COMPLETE)}, processed_at = coalesce(:now, now()),
    next_retry_at = NULL, error_reason = NULL, error = NULL, {UNHELD}, updated_at = coalesce(:now, now())
WHERE id = ANY (CAST(:ids AS uuid[])) AND {STATUS_IS} {source(Verb.COMPLETE)}
    AND lease_token = CAST(:token AS uuid)
"""
COMPLETE = text(COMPLETED)
# Deletes are written whatever the claim still holds: they were delivered.
COMPLETE_DELETES = text(f"WITH noted AS ({NOTED}) {COMPLETED}")

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
    updated_at = coalesce(:now, now())
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

RETRY = text(f"""
UPDATE {EVENTS} e SET status = {target(Verb.RETRY)},
    next_retry_at = coalesce(:now, now()) + make_interval(secs => n.delay),
    error_reason = n.reason, error = n.error, {UNHELD}, updated_at = coalesce(:now, now())
FROM unnest(CAST(:ids AS uuid[]), CAST(:delays AS float8[]), CAST(:reasons AS text[]),
    CAST(:errors AS text[])) n (id, delay, reason, error)
WHERE e.id = ANY (CAST(:ids AS uuid[])) AND e.id = n.id
    AND e.{STATUS_IS} {source(Verb.RETRY)} AND e.lease_token = CAST(:token AS uuid)
RETURNING e.id::text
""")

# A separate statement, since hardly any retry needs it; the retry itself follows.
RETURN_ATTEMPT = text(f"""
UPDATE {EVENTS} SET attempts = greatest(attempts - 1, 0)
WHERE id = ANY (CAST(:ids AS uuid[])) AND {STATUS_IS} {source(Verb.RETRY)}
    AND lease_token = CAST(:token AS uuid)
""")

FAIL = text(f"""
UPDATE {EVENTS} e SET status = {target(Verb.FAIL)}, next_retry_at = NULL,
    error_reason = n.reason, error = n.error, {UNHELD}, updated_at = coalesce(:now, now())
FROM unnest(CAST(:ids AS uuid[]), CAST(:reasons AS text[]), CAST(:errors AS text[])) n (id, reason, error)
WHERE e.id = ANY (CAST(:ids AS uuid[])) AND e.id = n.id
    AND e.{STATUS_IS} {source(Verb.FAIL)} AND e.lease_token = CAST(:token AS uuid)
RETURNING e.id::text
""")


def complete(
    connection: Connection,
    token: str,
    ids: Sequence[str],
    *,
    deletes: Mapping[str, Any] | None = None,
    now: datetime | None = None,
) -> set[str]:
    """Mark events done; returns the ids that the claim still held.

    `deletes` (`deletes.noted`) are written in the same statement, to be sent again.
    """
    (answer,) = send(connection, *_completing(token, ids, deletes, now))
    return _completed(connection, ids, answer)


def retry(
    connection: Connection, token: str, retries: Sequence[Retry], *, now: datetime | None = None
) -> set[str]:
    """Put events back, each with its delay; returns the ids that the claim still held."""
    return _ids(send(connection, *_retrying(connection, token, retries, now)))


def fail(
    connection: Connection, token: str, failures: Sequence[Failure], *, now: datetime | None = None
) -> set[str]:
    """Mark events failed; returns the ids that the claim still held."""
    return _ids(send(connection, *_failing(connection, token, failures, now)))


def release(
    connection: Connection,
    tokens: Sequence[str],
    *,
    only: Collection[str] | None = None,
    now: datetime | None = None,
) -> set[str]:
    """Release claims, with their attempts, `only` these events of them if set; returns the ids still held.

    Events that somebody else has locked stay.
    """
    return _ids(send(connection, *_releasing(tokens, only, now)))


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
    retries: Sequence[Retry] = (),
    failures: Sequence[Failure] = (),
    release_the_rest: bool = False,
    only: Collection[str] | None = None,
    deletes: Mapping[str, Any] | None = None,
) -> Settled:
    """Write all outcomes of one claim in one message, and release `only` these of the others.

    `deletes` as in `complete`.
    """
    statements: list[Statement | str] = [(TRANSACTION_ID, {})]
    if done:
        statements += _completing(token, done, deletes)
    if retries:
        statements += _retrying(connection, token, retries)
    if failures:
        statements += _failing(connection, token, failures)
    if release_the_rest:
        statements += _releasing([token], only)
    first, *answers = send(connection, *statements)
    hit = _ids(answers)
    if done:
        hit |= _completed(connection, done, answers[0])
    return Settled(first.rows[0][0], hit)


def _completing(
    token: str, ids: Sequence[str], deletes: Mapping[str, Any] | None, now: datetime | None = None
) -> list[Statement | str]:
    values = {"token": token, "now": now, "ids": id_array(ids), **(deletes or {})}
    return [PLAN, (COMPLETE_DELETES if deletes else COMPLETE, values)]


def _completed(connection: Connection, ids: Sequence[str], answer: StatementResult) -> set[str]:
    if answer.size == len(ids):
        return set(ids)
    return _ids(send(connection, (WRITTEN, {"ids": id_array(ids)})))


def _retrying(
    connection: Connection, token: str, retries: Sequence[Retry], now: datetime | None = None
) -> list[Statement | str]:
    values = {"token": token, "now": now, **_columns(connection, retries)}
    statements: list[Statement | str] = [JOIN]
    if returned := [r.id for r in retries if r.attempt_returned]:
        statements.append((RETURN_ATTEMPT, {"token": token, "ids": id_array(returned)}))
    return [*statements, (RETRY, values | {"delays": [r.delay for r in retries]})]


def _failing(
    connection: Connection, token: str, failures: Sequence[Failure], now: datetime | None = None
) -> list[Statement | str]:
    return [JOIN, (FAIL, {"token": token, "now": now, **_columns(connection, failures)})]


def _releasing(
    tokens: Sequence[str], only: Collection[str] | None, now: datetime | None = None
) -> list[Statement | str]:
    values = {"tokens": list(tokens), "ids": None if only is None else id_array(list(only)), "now": now}
    return [PLAN, (RELEASE, values)]


def _columns(connection: Connection, outcomes: Sequence[Retry] | Sequence[Failure]) -> dict[str, Any]:
    encoding = encoding_of(connection)
    return {
        "ids": id_array([o.id for o in outcomes]),
        "reasons": [o.reason.value for o in outcomes],
        "errors": [storable(o.error, encoding) for o in outcomes],
    }


def _ids(answers: Iterable[StatementResult]) -> set[str]:
    """What the statements returned: each row is an id."""
    return {id_ for answer in answers for (id_,) in answer.rows}

"""Settle: the outcomes of one claim's events are written, one statement an outcome.

Each statement is guarded by the lease token and returns the ids that it changed. The others' leases ran out:
they are counted, and no error.
"""

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, NamedTuple

from outboxctl.core.delivery.claim import PLAN
from outboxctl.core.delivery.diagnosis import TRANSACTION_ID
from outboxctl.core.delivery.settle_statements import (
    COMPLETE,
    COMPLETE_DELETES,
    FAIL,
    HELD_ROWS,
    HOLD,
    JOIN,
    RELEASE,
    RETRY,
    RETURN_ATTEMPT,
    SPLIT,
    WRITTEN,
)
from outboxctl.core.message import PlannedOnce, Statement, send
from outboxctl.core.schema.encoding import encoding_of, storable
from outboxctl.core.schema.names import id_array
from outboxctl.core.sql import Connection
from outboxctl.core.sql.transaction import StatementResult
from outboxctl.domain.failures import Reason

TYPES = {"token": "uuid", "ids": "uuid[]"}  # of the parameters of COMPLETE


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
    retries: Sequence[Retry] = (),
    failures: Sequence[Failure] = (),
    release_the_rest: bool = False,
    only: Collection[str] | None = None,
    deletes: Mapping[str, Any] | None = None,
    splits: Mapping[str, Sequence[str]] = MappingProxyType({}),
    places: Sequence[Statement] = (),
) -> Settled:
    """Write all outcomes of one claim in one message, and release `only` these of the others.

    `deletes` (`deletes.noted`) are written in the statement that completes `done`, to be sent again.
    `splits`: of these among `done`, which name many documents, the keys that have an event each from now on.
    `places` are `places.settling`.
    """
    statements: list[Statement | PlannedOnce | str] = [(TRANSACTION_ID, {})]
    for id_, keys in splits.items():
        values = {"token": token, "id": id_, "keys": json.dumps(keys, ensure_ascii=False)}
        statements += [PLAN, (SPLIT, values)]
    if done:
        statements += _completing(token, done, deletes)
    if retries:
        statements += _retrying(connection, token, retries)
    if failures:
        statements += _failing(connection, token, failures)
    if release_the_rest:
        statements += _releasing([token], only)
    if places:
        statements += [PLAN, *places]
    first, *answers = send(connection, *statements)
    answers = answers[len(splits) :]
    hit = _ids(answers)
    if done:
        hit |= _completed(connection, done, answers[0].size)
    return Settled(first.rows[0][0], hit)


def _completing(
    token: str, ids: Sequence[str], deletes: Mapping[str, Any] | None
) -> list[Statement | PlannedOnce | str]:
    values = {"token": token, "ids": id_array(ids), **(deletes or {})}
    usual = PlannedOnce(COMPLETE, values, TYPES)
    return [PLAN, (COMPLETE_DELETES, values) if deletes else usual]


def _completed(connection: Connection, ids: Sequence[str], size: int) -> set[str]:
    if size == len(ids):
        return set(ids)
    return _ids(send(connection, (WRITTEN, {"ids": id_array(ids)})))


def _retrying(connection: Connection, token: str, retries: Sequence[Retry]) -> list[Statement | str]:
    values = {"token": token, **_columns(connection, retries)}
    statements: list[Statement | str] = [JOIN]
    if returned := [r.id for r in retries if r.attempt_returned]:
        statements.append((RETURN_ATTEMPT, {"token": token, "ids": id_array(returned)}))
    return [*statements, (RETRY, values | {"delays": [r.delay for r in retries]})]


def _failing(connection: Connection, token: str, failures: Sequence[Failure]) -> list[Statement | str]:
    return [JOIN, (FAIL, {"token": token, **_columns(connection, failures)})]


def _releasing(tokens: Sequence[str], only: Collection[str] | None) -> list[Statement | str]:
    values = {"tokens": list(tokens), "ids": None if only is None else id_array(list(only))}
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

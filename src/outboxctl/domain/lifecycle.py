"""The life of an event: one table of verbs, states and who may do what.

Nothing outside `outboxctl.core` writes `status`; every write there is guarded by the from-states
of its verb. A CHECK constraint of the first migration lists the same states.
"""

from dataclasses import dataclass
from enum import StrEnum


class Status(StrEnum):
    """States of an event; `done` and `failed` are terminal for the worker."""

    PENDING = "pending"
    PROCESSING = "processing"
    DONE = "done"
    FAILED = "failed"


class Verb(StrEnum):
    """What can happen to an event."""

    CLAIM = "claim"
    RENEW = "renew"
    COMPLETE = "complete"
    RETRY = "retry"
    FAIL = "fail"
    RELEASE = "release"
    RECLAIM = "reclaim"
    EXPIRE = "expire"
    REPLAY = "replay"
    DISCARD = "discard"
    UNDO = "undo"
    DROP = "drop"


class Actor(StrEnum):
    """Who does it: any worker, the one that holds the lease token, any worker's maintenance, a person."""

    WORKER = "any worker"
    LEASE_HOLDER = "lease holder"
    MAINTENANCE = "maintenance"
    OPERATOR = "operator"


@dataclass(frozen=True)
class Transition:
    """One row of the table: the verb takes `source` to `target` when `actor` does it."""

    verb: Verb
    source: Status
    target: Status
    actor: Actor


TRANSITIONS = (
    Transition(Verb.CLAIM, Status.PENDING, Status.PROCESSING, Actor.WORKER),
    Transition(Verb.RENEW, Status.PROCESSING, Status.PROCESSING, Actor.LEASE_HOLDER),
    Transition(Verb.COMPLETE, Status.PROCESSING, Status.DONE, Actor.LEASE_HOLDER),
    Transition(Verb.RETRY, Status.PROCESSING, Status.PENDING, Actor.LEASE_HOLDER),
    Transition(Verb.FAIL, Status.PROCESSING, Status.FAILED, Actor.LEASE_HOLDER),
    Transition(Verb.RELEASE, Status.PROCESSING, Status.PENDING, Actor.LEASE_HOLDER),
    Transition(Verb.RECLAIM, Status.PROCESSING, Status.PENDING, Actor.MAINTENANCE),
    Transition(Verb.EXPIRE, Status.PROCESSING, Status.FAILED, Actor.MAINTENANCE),
    Transition(Verb.REPLAY, Status.FAILED, Status.PENDING, Actor.OPERATOR),
    Transition(Verb.DISCARD, Status.FAILED, Status.DONE, Actor.OPERATOR),
    Transition(Verb.UNDO, Status.PENDING, Status.FAILED, Actor.OPERATOR),
    Transition(Verb.DROP, Status.PENDING, Status.DONE, Actor.OPERATOR),
)
BY_VERB = {transition.verb: transition for transition in TRANSITIONS}

PROJECTION = "search_index_to_elastic"
OPS = ("upsert", "delete")


def op_label(op: str) -> str:
    """An event's op as a metric label: an unknown one is `other`."""
    return op if op in OPS else "other"

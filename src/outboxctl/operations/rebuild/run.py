"""Carrying out a plan, or going on with it: one process at a time for an alias, phase by phase.

Each phase can be repeated from its start, as a rebuild that was killed does.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from time import monotonic

from outboxctl.core.database import Connection, Database
from outboxctl.core.documents.since import position
from outboxctl.core.operator import rebuilds
from outboxctl.core.operator.rebuilds import ENDING, Rebuild, RebuildPhase
from outboxctl.domain.errors import ChangedError, UsageError
from outboxctl.domain.printable import brief
from outboxctl.operations.rebuild.filling import fill, heal
from outboxctl.operations.rebuild.model import (
    DocumentsRefusedError,
    RebuildInterrupted,
    RebuildReport,
    Tools,
)
from outboxctl.operations.rebuild.move import swap
from outboxctl.operations.rebuild.plan import RebuildPlan, last_done
from outboxctl.operations.rebuild.rounds import catch_up, follow
from outboxctl.operations.rebuild.undo import abort
from outboxctl.sink.index import lifecycle

PROGRESS = {
    RebuildPhase.CREATE: "Creating {new}",
    RebuildPhase.FILL: "Filling {new}",
    RebuildPhase.CATCH_UP: "Catching {new} up with the events since",
    RebuildPhase.SWAP: "Moving {alias} to {new}",
    RebuildPhase.RECONCILE: "Making up for what went elsewhere meanwhile; comparing {new} with the rows",
}

FILLING = (RebuildPhase.CREATE, RebuildPhase.FILL, RebuildPhase.CATCH_UP)
ABANDON = "`outboxctl index abort` deletes the new index, then begin another"


@contextmanager
def alone(db: Database, alias: str) -> Iterator[Connection]:
    """Hold the lock of `alias` in a transaction; raises UsageError if another process holds it."""
    with db.begin() as held:
        if not rebuilds.lock(held, alias):
            if stranger := rebuilds.stranger(held, alias):
                raise UsageError(
                    f"{brief(stranger, 200)} holds the lock of a rebuild of {alias}, and may run none",
                    hint="end that session: pg_terminate_backend",
                )
            raise UsageError(
                f"a rebuild of {alias} is running", hint="`outboxctl index rebuilds` shows how far it is"
            )
        yield held


def apply(tools: Tools, plan: RebuildPlan, *, by: str, reason: str, grace_seconds: float) -> RebuildReport:
    """Carry it out to its end, or to where it stops.

    The report's phase is `done`; `aborted` if the new index refused documents (it is deleted); or that in
    which it was stopped. Raises UsageError if the sink refuses the new index itself: then all is as before.
    Raises ChangedError where the projection is applied anew, or dropped, meanwhile: the alias stays as it is,
    unless it was moved before. Raises UnreachableError if one side is unreachable for too long: what is done
    is saved.
    """
    began = monotonic()
    row = _open(tools, plan, by=by, reason=reason, grace_seconds=grace_seconds)
    resumed = plan.under_way is not None
    if resumed:
        tools.say(f"Going on where this {row.action} stopped: {row.copied:,} documents are copied")
    try:
        _steps(tools, row)
    except DocumentsRefusedError:
        abort(tools, _current(tools, row), by=by, reason="the new index refused documents")
    except UsageError:
        if _current(tools, row).phase == RebuildPhase.CREATE:
            abort(tools, _current(tools, row), by=by, reason="the search engine refused the new index")
        raise
    except ChangedError as error:
        if _current(tools, row).phase != RebuildPhase.RECONCILE:
            error.hint = f"the alias {row.alias} stays as it is. {ABANDON}"
        raise
    except RebuildInterrupted:
        pass
    return RebuildReport(_current(tools, row), tools.refused, resumed, round(monotonic() - began, 3))


def _open(tools: Tools, plan: RebuildPlan, *, by: str, reason: str, grace_seconds: float) -> Rebuild:
    """The row to go on with. Raises UsageError if it is another than at the time of the plan."""
    with tools.db.begin() as connection:
        active = rebuilds.active_rebuild(connection, plan.alias)
        if (active and active.id) != (plan.under_way and plan.under_way.id):
            raise UsageError(f"another rebuild of {plan.alias} came in between", hint="run it again")
        if active:
            return active
        rollback = plan.action == "rollback"
        last = last_done(connection, plan.alias) if rollback else None
        return rebuilds.begin(
            connection,
            action=plan.action,
            alias=plan.alias,
            old_index=plan.old_index,
            new_index=plan.new_index,
            concrete=plan.concrete,
            body=plan.body,
            phase=RebuildPhase.CATCH_UP if rollback else RebuildPhase.CREATE,
            operator=by,
            reason=reason,
            grace_seconds=grace_seconds,
            caught_up_to=last.swapped_at if last else None,
        )


def _steps(tools: Tools, row: Rebuild) -> None:
    while row.ended_at is None:
        rebuilds.still_locked(tools.held)
        if tools.stop.is_set():
            raise RebuildInterrupted
        if row.phase in FILLING:
            with tools.db.begin() as connection:
                tools.require(connection)
        tools.say(PROGRESS[RebuildPhase(row.phase)].format(new=row.new_index, alias=row.alias))
        row = STEPS[RebuildPhase(row.phase)](tools, row)


def _current(tools: Tools, row: Rebuild) -> Rebuild:
    with tools.db.begin() as connection:
        return rebuilds.one(connection, row.id)


def _create(tools: Tools, rebuild: Rebuild) -> Rebuild:
    """Create the new index, with settings for fast filling."""
    lifecycle.create(tools.client, rebuild.new_index, rebuild.body, rebuild.id)
    with tools.db.begin() as connection:
        tools.followed.position = position(connection)  # whatever is visible here, all that follows reads
    return tools.save(rebuild, phase=RebuildPhase.FILL)


def _reconcile(tools: Tools, rebuild: Rebuild) -> Rebuild:
    """Follow once more, as documents are declared now, and compare; then the rebuild is done.

    So the new index also has what was written to the old one after somebody had lifted its block, and changes
    whose events are gone. Raises ChangedError where the declaration changes meanwhile.
    """
    with tools.db.begin() as connection:
        renewed = tools.renewed(connection)
    healed = 0
    if renewed is None:
        tools.say(
            f"{tools.source.projection.name} has no documents in {rebuild.alias} any more: it stays as it is"
        )
    else:
        rebuild = follow(renewed, rebuild)
        healed = heal(renewed, rebuild.new_index)
    ending = {"phase": RebuildPhase.DONE, "healed": rebuild.healed + healed, "kept_index": rebuild.old_index}
    return tools.save(rebuild, **ENDING, **ending)


STEPS = {
    RebuildPhase.CREATE: _create,
    RebuildPhase.FILL: fill,
    RebuildPhase.CATCH_UP: catch_up,
    RebuildPhase.SWAP: swap,
    RebuildPhase.RECONCILE: _reconcile,
}

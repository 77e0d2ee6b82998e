"""Aborting a rebuild before its swap, and deleting indexes whose time to be kept is over."""

from collections.abc import Sequence
from dataclasses import dataclass

from outboxctl.core.operator import rebuilds
from outboxctl.core.operator.rebuilds import ENDING, Rebuild, RebuildPhase
from outboxctl.domain.errors import UsageError
from outboxctl.operations.rebuild.model import Tools
from outboxctl.sink.index import lifecycle
from outboxctl.sink.index.named import look_for_one
from outboxctl.sink.transport.client import Client


def abort(tools: Tools, rebuild: Rebuild, *, by: str, reason: str, gone: bool = False) -> list[str]:
    """Delete the new index, and let the old one take writes; audited. Returns the names of what was deleted.

    Raises UsageError if the alias leads to the new index already; of a projection that is `gone` from this
    index nothing is deleted then.
    """
    in_use = look_for_one(tools.client, rebuild.alias, besides=rebuild.unfinished).index == rebuild.new_index
    if in_use and gone:
        return _end(tools, rebuild, by=by, reason=reason)
    if in_use:
        raise UsageError(
            f"{rebuild.alias} leads to {rebuild.new_index} already",
            hint="`outboxctl rebuild` finishes it, `outboxctl index rollback` then goes back",
        )
    rebuild = tools.save(rebuild, phase=rebuild.phase)  # raises if it has ended
    deleted = condemned(tools.client, rebuild)
    _unblock(tools.client, rebuild)
    for name in deleted:
        if name == rebuild.unfinished:
            lifecycle.withdraw(tools.client, name)
        lifecycle.drop(tools.client, name)
    with tools.db.begin() as connection:
        rebuilds.record(connection, "rebuild abort", rebuild, by=by, reason=reason)
        rebuilds.save(connection, rebuild, phase=RebuildPhase.ABORTED, **ENDING)
    return deleted


def _end(tools: Tools, rebuild: Rebuild, *, by: str, reason: str) -> list[str]:
    """Leave both indexes as they are; the old one is kept for the usual time."""
    _unblock(tools.client, rebuild)
    with tools.db.begin() as connection:
        rebuilds.record(connection, "rebuild abort", rebuild, by=by, reason=reason)
        rebuilds.save(connection, rebuild, phase=RebuildPhase.DONE, kept_index=rebuild.old_index, **ENDING)
    return []


def _unblock(client: Client, rebuild: Rebuild) -> None:
    """Let the old index take writes again, if the rebuild may have blocked them."""
    old = rebuild.alias if rebuild.concrete else rebuild.old_index
    if rebuild.swapped_at and old:
        lifecycle.unblock(client, old)


def condemned(client: Client, rebuild: Rebuild) -> list[str]:
    """The indexes that an abort deletes: those that carry its mark, so none that it did not make."""
    if rebuild.action != "rebuild":
        return []  # a rollback made none
    copy = rebuild.old_index if rebuild.concrete else None  # of the index for which writes were blocked
    names = [name for name in (copy, rebuild.new_index) if name]
    return [name for name in names if lifecycle.owned(client, name, rebuild.id)]


@dataclass(frozen=True)
class Cleanup:
    """Kept indexes whose time is over: those to delete, those to `keep` and why, and those that are gone."""

    delete: list[Rebuild]
    keep: dict[str, str]
    gone: list[Rebuild]


def plan_cleanup(client: Client, overdue: Sequence[Rebuild]) -> Cleanup:
    """What of these rows' kept indexes may be deleted: what no alias uses and the row's rebuild marked."""
    plan = Cleanup([], {}, [])
    for row in overdue:
        name = str(row.kept_index)
        if look_for_one(client, name).index is None:
            plan.gone.append(row)
        elif why := _needed(client, name, row.id):
            plan.keep[name] = why
        else:
            plan.delete.append(row)
    return plan


def _needed(client: Client, name: str, owner: str) -> str:
    """Why an index is not to be deleted; empty if it is."""
    if not lifecycle.owned(client, name, owner):
        return "it does not carry the mark of its rebuild: delete it yourself if it is not needed"
    used = lifecycle.uses(client, name)
    return f"it is in use, as {', '.join(used)}" if used else ""


def cleanup(tools: Tools, plan: Cleanup, *, by: str, reason: str) -> None:
    """Delete what is planned, each audited, and forget what is gone."""
    for row in plan.delete:
        lifecycle.drop(tools.client, str(row.kept_index))
        with tools.db.begin() as connection:
            rebuilds.record(connection, "rebuild cleanup", row, by=by, reason=reason)
            rebuilds.not_kept(connection, row.alias, str(row.kept_index))
    with tools.db.begin() as connection:
        for row in plan.gone:
            rebuilds.not_kept(connection, row.alias, str(row.kept_index))

"""Ending a rebuild before its swap, and deleting what was kept long enough."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from outboxctl.core.operator import rebuilds
from outboxctl.core.operator.rebuilds import ENDING, Rebuild, RebuildPhase
from outboxctl.domain.errors import UsageError
from outboxctl.operations.rebuild.model import Tools
from outboxctl.sink.index import alias, lifecycle

if TYPE_CHECKING:
    from outboxctl.sink.transport.client import Client


def abort(tools: Tools, rebuild: Rebuild, *, by: str, reason: str) -> list[str]:
    """As if it had not been: the new index is deleted, the old one takes writes; audited.

    Returns the names of what was deleted.
    Raises UsageError if the alias leads to the new index already.
    """
    if alias.look(tools.client, rebuild.alias, besides=rebuild.unfinished).index == rebuild.new_index:
        raise UsageError(
            f"{rebuild.alias} leads to {rebuild.new_index} already",
            hint="`outboxctl rebuild` finishes it, `outboxctl rebuild --rollback` then goes back",
        )
    with tools.db.begin() as connection:
        rebuild = rebuilds.save(connection, rebuild, phase=rebuild.phase)  # still ours
    deleted = condemned(tools.client, rebuild)
    if rebuild.concrete and rebuild.swapped_at:
        lifecycle.unblock(tools.client, rebuild.alias)
    for name in deleted:
        if name == rebuild.unfinished:
            lifecycle.withdraw(tools.client, name)
        lifecycle.drop(tools.client, name)
    with tools.db.begin() as connection:
        rebuilds.record(connection, "rebuild abort", rebuild, by=by, reason=reason)
        rebuilds.save(connection, rebuild, ENDING, phase=RebuildPhase.ABORTED)
    return deleted


def condemned(client: "Client", rebuild: Rebuild) -> list[str]:
    """The indexes that an abort deletes: those which bear its mark, so none that is somebody else's."""
    if rebuild.action != "rebuild":
        return []  # a rollback made none
    copy = rebuild.old_index if rebuild.concrete else None  # of the index for which writes were blocked
    names = [name for name in (copy, rebuild.new_index) if name]
    return [name for name in names if lifecycle.owned(client, name, rebuild.id)]


@dataclass(frozen=True)
class Cleanup:
    """What was kept long enough: the indexes to delete, those to `keep` and why, and those that are gone."""

    delete: list[Rebuild]
    keep: dict[str, str]
    gone: list[Rebuild]


def plan_cleanup(client: "Client", overdue: Sequence[Rebuild]) -> Cleanup:
    """What of these rows' kept indexes may be deleted: what no alias uses and the row's rebuild marked."""
    plan = Cleanup([], {}, [])
    for row in overdue:
        name = str(row.kept_index)
        if alias.look(client, name).index is None:
            plan.gone.append(row)
        elif why := _needed(client, name, row.id):
            plan.keep[name] = why
        else:
            plan.delete.append(row)
    return plan


def _needed(client: "Client", name: str, owner: str) -> str:
    """Why an index is not to be deleted, or nothing."""
    if not lifecycle.owned(client, name, owner):
        return "it does not bear the mark of its rebuild: delete it yourself if nobody needs it"
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

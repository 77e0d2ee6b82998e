"""Ending a rebuild before its swap, and deleting what was kept long enough."""

from outboxctl.core import rebuilds
from outboxctl.core.rebuilds import ENDING, Phase, Rebuild
from outboxctl.errors import UsageError
from outboxctl.rebuild.model import Tools
from outboxctl.sink import alias, making


def abort(tools: Tools, rebuild: Rebuild, *, by: str, reason: str) -> Rebuild:
    """As if it had not been: the new index is deleted, the old one takes writes; audited.

    Raises UsageError if the alias leads to the new index already.
    """
    if alias.look(tools.client, rebuild.alias).index == rebuild.new_index:
        raise UsageError(
            f"{rebuild.alias} leads to {rebuild.new_index} already",
            hint="`outboxctl rebuild` finishes it, `outboxctl rebuild --rollback` then goes back",
        )
    with tools.db.begin() as connection:
        rebuild = rebuilds.save(connection, rebuild, phase=rebuild.phase)  # still ours
    if rebuild.action == "rebuild":
        _clear(tools, rebuild)
    with tools.db.begin() as connection:
        rebuilds.record(connection, "rebuild abort", rebuild, by=by, reason=reason)
        return rebuilds.save(connection, rebuild, ENDING, phase=Phase.ABORTED)


def _clear(tools: Tools, rebuild: Rebuild) -> None:
    if rebuild.concrete and rebuild.old_index and rebuild.swapped_at:
        making.unblock(tools.client, rebuild.alias)
        making.drop(tools.client, rebuild.old_index)  # the copy for which writes were blocked
    if making.owned(tools.client, rebuild.new_index, rebuild.id):
        making.drop(tools.client, rebuild.new_index)


def cleanup(tools: Tools, overdue: list[Rebuild], *, by: str, reason: str) -> list[str]:
    """Delete the kept indexes of these rows, each audited; returns their names.

    Raises UsageError if one is in use.
    """
    for row in overdue:
        making.drop(tools.client, str(row.kept_index))
        with tools.db.begin() as connection:
            rebuilds.record(connection, "rebuild cleanup", row, by=by, reason=reason)
            rebuilds.not_kept(connection, row.alias, str(row.kept_index))
    return [str(row.kept_index) for row in overdue]

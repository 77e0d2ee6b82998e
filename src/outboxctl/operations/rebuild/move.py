"""Moving the alias, so that nobody who reads through it ever sees an older document.

The old index takes no writes from before the last round until the alias leads to the new one (docs/adr/0013).
Whatever was delivered to it is in the new one by then, and visible to searches.
"""

from contextlib import suppress

from outboxctl.core.database import Connection
from outboxctl.core.operator import rebuilds
from outboxctl.core.operator.rebuilds import SWAPPING, Rebuild, RebuildPhase
from outboxctl.core.schema.lock_wait import PATIENCE, with_lock_retries
from outboxctl.domain.errors import OutboxctlError, UsageError
from outboxctl.operations.rebuild.model import Tools
from outboxctl.operations.rebuild.rounds import follow
from outboxctl.sink.index import alias, lifecycle
from outboxctl.sink.index.named import Named, look_for_one
from outboxctl.sink.transport.request import refresh


def swap(tools: Tools, rebuild: Rebuild) -> Rebuild:
    """Move the alias to the new index in one request; audited."""
    if rebuild.action == "rebuild":
        lifecycle.make_ready(tools.client, rebuild.new_index, rebuild.body["settings"])
    home = look_for_one(tools.client, rebuild.alias)
    if home.index != rebuild.new_index:
        rebuild = _moved(tools, rebuild, home)
    if rebuild.old_index:  # also where a process was killed in between
        lifecycle.unblock(tools.client, rebuild.old_index)
    with tools.db.begin() as connection:
        action = "rebuild" if rebuild.action == "rebuild" else f"rebuild {rebuild.action}"
        rebuilds.record(connection, action, rebuild, by=rebuild.operator, reason=rebuild.reason)
        rebuilds.not_kept(connection, rebuild.alias, rebuild.new_index)
        return rebuilds.save(connection, rebuild, phase=RebuildPhase.RECONCILE)


def _moved(tools: Tools, rebuild: Rebuild, home: Named) -> Rebuild:
    """Follow what came in meanwhile, so that the last round is short, and move the alias."""
    expected = rebuild.alias if rebuild.concrete else rebuild.old_index
    if home.index not in (None, expected):
        raise UsageError(
            f"{rebuild.alias} leads to {home.index} by now, not to {expected}: somebody else moved it",
            hint="`outboxctl index abort` ends this rebuild",
        )
    rebuild = follow(tools, rebuild)
    if rebuild.swapped_at is None:
        rebuild = tools.save(rebuild, **SWAPPING)
    return _as_declared(tools, rebuild, home)


def _as_declared(tools: Tools, rebuild: Rebuild, home: Named) -> Rebuild:
    """Raise ChangedError where the documents are declared otherwise by now.

    No `apply` and no `drop` comes between: they wait for the same lock.
    """
    if not tools.source.projection.name:
        return _without_writes(tools, rebuild, home)

    def act(connection: Connection) -> Rebuild:
        rebuilds.stay_idle(connection)
        tools.require(connection)
        return _without_writes(tools, rebuild, home)

    return with_lock_retries(tools.db, act, patience=max(tools.patience, PATIENCE), report=tools.say)


def _without_writes(tools: Tools, rebuild: Rebuild, home: Named) -> Rebuild:
    """Block writes of the old index, send the rest of what was delivered to it, and move the alias."""
    try:
        if home.index:
            lifecycle.mark(tools.client, home.index, rebuild.id)
            lifecycle.block(tools.client, home.index)
            rebuild = follow(tools, rebuild)
        if home.concrete and rebuild.old_index:
            lifecycle.clone(tools.client, rebuild.alias, rebuild.old_index, rebuild.id)
        refresh(tools.client, rebuild.new_index, lifecycle.LONG)
        alias.swap(tools.client, home, rebuild.new_index)
    except BaseException:
        with suppress(OutboxctlError):
            lifecycle.unblock(tools.client, home.index or rebuild.new_index)
        raise
    return rebuild

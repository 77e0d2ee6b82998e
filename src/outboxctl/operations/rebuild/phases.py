"""What each phase does. Each can be repeated from its start, as a rebuild that was killed does."""

from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from math import inf
from time import monotonic
from typing import TYPE_CHECKING

from outboxctl.core.documents.since import Since, position
from outboxctl.core.operator import rebuilds
from outboxctl.core.operator.rebuilds import ENDING, SWAPPING, Rebuild, RebuildPhase
from outboxctl.core.schema.lock_wait import PATIENCE, with_lock_retries
from outboxctl.domain.errors import OutboxctlError, UnreachableError, UsageError
from outboxctl.operations.rebuild.filling import fill, heal
from outboxctl.operations.rebuild.model import RebuildInterrupted, Tools
from outboxctl.operations.rebuild.pipeline import sent
from outboxctl.operations.rebuild.sending import Sender, collect
from outboxctl.sink.index import alias, lifecycle

if TYPE_CHECKING:
    from outboxctl.core.database import Connection

ROUNDS = 5  # of catching up before the swap, at most
SHORT = 3.0  # seconds: what came in during so short a round can wait for the one after the swap
NEARER = 0.8  # of the round before: a round that takes longer does not come nearer to the end
# A claim marks its event when its transaction starts, and is visible when it commits: at most 30 s later.
OVERLAP = timedelta(seconds=60)
# A delayed worker may write an entity that was deleted meanwhile. The old index refuses that by its
# tombstones (index.gc_deletes), so the new one needs them, too.
TOMBSTONES = timedelta(hours=1)


def create(tools: Tools, rebuild: Rebuild) -> Rebuild:
    """Create the new index, with settings for fast filling."""
    lifecycle.create(tools.client, rebuild.new_index, rebuild.body, rebuild.id)
    with tools.db.begin() as connection:
        tools.followed.position = position(connection)  # whatever is visible here, all that follows reads
    return tools.save(rebuild, phase=RebuildPhase.FILL)


def catch_up(tools: Tools, rebuild: Rebuild) -> Rebuild:
    """Send what changed while the index was filled, and then while that was sent, until a round is short.

    The rounds give way to live events as long as each is clearly shorter than the one before. Where one is
    not, the events come too quickly for that: one more round follows, without a pause, and is the last.
    """
    last, gives_way = inf, True
    for _ in range(ROUNDS):
        began = monotonic()
        rebuild = follow(tools, rebuild, gives_way=gives_way)
        seconds = monotonic() - began
        if seconds < SHORT or not gives_way:
            break
        last, gives_way = seconds, seconds < NEARER * last
    return tools.save(rebuild, phase=RebuildPhase.SWAP)


def follow(tools: Tools, rebuild: Rebuild, *, gives_way: bool = False) -> Rebuild:
    """One round: the entities of all events written or moved since the last, as they are now.

    So each event that was delivered to the other index is repeated in this one: a row that is gone becomes a
    delete at its newest version, and so a tombstone. With `gives_way` it pauses while live events wait.
    """
    with tools.db.begin() as connection:
        reached = position(connection)
    tolerant = tools.allow_failures or rebuild.action != "rebuild" or rebuild.phase == RebuildPhase.RECONCILE
    changed = tools.source.changed(tools.db, _since(tools, rebuild), tools.size)
    followed, refused = 0, 0
    sender = Sender(tools, rebuild.new_index, gives_way=gives_way)
    with sent(changed, sender.send, tools.stop) as results:
        for batch, found in results:
            refused += collect(tools, found, tolerant=tolerant)
            followed += batch.read
    if tools.stop.is_set():
        raise RebuildInterrupted
    # The server has not begun anew meanwhile, giving numbers of transactions a second time.
    rebuilds.still_locked(tools.held)
    tools.followed.position = reached
    counts = {"caught_up": rebuild.caught_up + followed - refused, "refused": rebuild.refused + refused}
    return tools.save(rebuild, caught_up_to=reached.moment, **counts)


def _since(tools: Tools, rebuild: Rebuild) -> Since:
    """What a round sends. The first one of a new index sends a delete for whatever is gone for an hour."""
    fresh = rebuild.action == "rebuild" and rebuild.caught_up_to == rebuild.started_at
    since = rebuild.caught_up_to - OVERLAP
    gone = rebuild.caught_up_to - TOMBSTONES if fresh else since
    return Since(since, gone, tools.followed.position)


def swap(tools: Tools, rebuild: Rebuild) -> Rebuild:
    """Move the alias to the new index in one request; audited."""
    if rebuild.action == "rebuild":
        lifecycle.make_ready(tools.client, rebuild.new_index, rebuild.body["settings"])
    if rebuild.swapped_at is None:
        rebuild = tools.save(rebuild, SWAPPING)
    home = alias.look(tools.client, rebuild.alias)
    if home.index != rebuild.new_index:
        _swap_as_declared(tools, rebuild, home)
    with tools.db.begin() as connection:
        action = "rebuild" if rebuild.action == "rebuild" else f"rebuild {rebuild.action}"
        rebuilds.record(connection, action, rebuild, by=rebuild.operator, reason=rebuild.reason)
        rebuilds.not_kept(connection, rebuild.alias, rebuild.new_index)
        return rebuilds.save(connection, rebuild, phase=RebuildPhase.RECONCILE)


def _swap_as_declared(tools: Tools, rebuild: Rebuild, home: alias.Home) -> None:
    """Raise ChangedError where the documents are declared otherwise by now.

    No `apply` and no `drop` comes between: they wait for the same lock.
    """

    def act(connection: "Connection") -> None:
        tools.source.require(connection)
        _swap(tools, rebuild, home)

    def say(text: str) -> None:
        tools.say(text)

    if tools.source.name:
        with_lock_retries(tools.db, act, patience=max(tools.patience, PATIENCE), report=say)
    else:
        _swap(tools, rebuild, home)


def _swap(tools: Tools, rebuild: Rebuild, home: alias.Home) -> None:
    expected = rebuild.alias if rebuild.concrete else rebuild.old_index
    if home.index not in (None, expected):
        raise UsageError(
            f"{rebuild.alias} leads to {home.index} by now, not to {expected}: somebody else moved it",
            hint="`outboxctl rebuild --abort` ends this rebuild",
        )
    try:
        if home.index:
            lifecycle.mark(tools.client, home.index, rebuild.id)
        if home.concrete and rebuild.old_index:
            lifecycle.clone(tools.client, rebuild.alias, rebuild.old_index, rebuild.id)
        alias.swap(tools.client, home, rebuild.new_index)
    except OutboxctlError:
        with suppress(UnreachableError):
            if home.concrete:
                lifecycle.unblock(tools.client, rebuild.alias)
        raise


def reconcile(tools: Tools, rebuild: Rebuild) -> Rebuild:
    """Send what was still delivered to the old index around the swap; then the rebuild is done.

    One round is enough: whatever was delivered there was committed before the swap, and is read now, as it is
    declared now. Raises ChangedError where that changes meanwhile.
    """
    with tools.db.begin() as connection:
        source = tools.source.renewed(connection)
    healed = 0
    if source is None:
        tools.say(f"{tools.source.name} has no documents in {rebuild.alias} any more: it stays as it is")
    else:
        tools = replace(tools, source=source)
        rebuild = follow(tools, rebuild)
        healed = heal(tools, rebuild.new_index)
    ending = {"phase": RebuildPhase.DONE, "healed": rebuild.healed + healed, "kept_index": rebuild.old_index}
    return tools.save(rebuild, ENDING, **ending)


STEPS = {
    RebuildPhase.CREATE: create,
    RebuildPhase.FILL: fill,
    RebuildPhase.CATCH_UP: catch_up,
    RebuildPhase.SWAP: swap,
    RebuildPhase.RECONCILE: reconcile,
}

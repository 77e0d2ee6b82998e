"""Rounds of following the outbox: the new index receives what changed while it was filled."""

from datetime import timedelta
from math import inf
from time import monotonic

from outboxctl.core.documents.since import Since, position
from outboxctl.core.operator import rebuilds
from outboxctl.core.operator.rebuilds import Rebuild, RebuildPhase
from outboxctl.operations.rebuild.model import RebuildInterrupted, Tools
from outboxctl.operations.rebuild.sending import Sender, collect, sent
from outboxctl.operations.rebuild.source import changed

ROUNDS = 5  # of catching up before the swap, at most
SHORT = 3.0  # seconds: what came in during so short a round can wait for the one after the swap
NEARER = 0.8  # of the round before: a round that takes longer does not come nearer to the end
# A claim marks its event when its transaction starts, and is visible when it commits: at most 30 s later.
OVERLAP = timedelta(seconds=60)
# A delayed worker may write an entity that was deleted meanwhile. The old index refuses that by its
# tombstones (index.gc_deletes), so the new one needs them, too.
TOMBSTONES = timedelta(hours=1)


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
    delete at its newest version, and so a tombstone. A rollback ends where the index that it goes back to
    holds a higher version than a row. With `gives_way` it pauses while live events wait.
    """
    with tools.db.begin() as connection:
        reached = position(connection)
    followed, refused = 0, 0
    for each in tools.each():
        some = _follow_one(each, rebuild, gives_way=gives_way)
        followed, refused = followed + some[0], refused + some[1]
    # The server has not begun anew meanwhile, giving numbers of transactions a second time.
    rebuilds.still_locked(tools.held)
    tools.followed.position = reached
    counts = {"caught_up": rebuild.caught_up + followed - refused, "refused": rebuild.refused + refused}
    return tools.save(rebuild, caught_up_to=reached.moment, **counts)


def _follow_one(tools: Tools, rebuild: Rebuild, *, gives_way: bool) -> tuple[int, int]:
    """The same of one source: how many documents were read, and refused for the first time."""
    reconciling = rebuild.phase == RebuildPhase.RECONCILE
    tolerant = tools.allow_failures or rebuild.action != "rebuild" or reconciling
    read = changed(tools.source, tools.db, _since(tools, rebuild), tools.size)
    followed, refused = 0, 0
    sender = Sender(tools, rebuild.new_index, gives_way=gives_way)
    with sent(read, sender.send, tools.stop) as results:
        for batch, found in results:
            behind = rebuild.action != "rebuild" and any(each.behind for each in found)
            refused += collect(tools, found, tolerant=tolerant and (reconciling or not behind))
            followed += batch.read
    if tools.stop.is_set():
        raise RebuildInterrupted
    return followed, refused


def _since(tools: Tools, rebuild: Rebuild) -> Since:
    """What a round sends. The first one of a new index sends a delete for whatever is gone for an hour."""
    fresh = rebuild.action == "rebuild" and rebuild.caught_up_to == rebuild.started_at
    since = rebuild.caught_up_to - OVERLAP
    gone = rebuild.caught_up_to - TOMBSTONES if fresh else since
    return Since(since, gone, tools.followed.position)

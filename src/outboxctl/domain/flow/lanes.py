"""How many of a worker's lanes a projection may have while others have events."""

from collections import Counter
from collections.abc import Mapping, Sequence

from outboxctl.domain.flow.index_state import SLOW, IndexState

Leases = Sequence[tuple[str, float]]  # the projection of each batch in progress, and since when
LAST_LANE = 1.0  # seconds of a batch that leaves the last free lane to others
RECENT = 60.0  # seconds: a projection whose batches ended within them is one of several


def others_wait(leases: Leases, states: Mapping[str, IndexState], lanes: int, now: float) -> bool:
    """Whether events of one projection wait for each batch of another one: there is one lane."""
    return lanes == 1 and _several(leases, states, now)


def without_share(leases: Leases, states: Mapping[str, IndexState], lanes: int, now: float) -> set[str]:
    """The projections that get no more lanes now: a slow one that has half of them, while others have events.

    The last free lane is for those whose batches are short, also while no other one has events: the next
    event of another one must not wait for a batch. One lane each until something is known of it.
    """
    if not leases:  # mostly so of many quiet ones
        return set()
    held, share = Counter(name for name, _ in leases), max(1, lanes // 2)
    closed = {name for name in held if name not in states or states[name].seconds is None}
    if max(held.values()) >= share and _several(leases, states, now):
        closed |= {name for name in _over(SLOW, leases, states, now) if held[name] >= share}
    if len(leases) >= lanes - 1 > 0:
        closed |= _over(LAST_LANE, leases, states, now)
    return closed


def _several(leases: Leases, states: Mapping[str, IndexState], now: float) -> bool:
    recent = (name for name, state in states.items() if state.served_at > now - RECENT)
    return len({name for name, _ in leases}.union(recent)) > 1


def _over(bound: float, leases: Leases, states: Mapping[str, IndexState], now: float) -> set[str]:
    """Those with a batch that takes, or took last, more seconds."""
    late = {name for name, since in leases if since < now - bound}
    return late.union(name for name, state in states.items() if state.over(bound))

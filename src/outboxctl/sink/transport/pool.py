"""Which node gets the next request: those that work in turns, others only once they have answered a probe."""

import threading
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from enum import Enum
from itertools import count
from typing import Generic, TypeVar

LONGEST_PAUSE = 30.0  # seconds between two probes of a node at most: from 1, doubled by each that fails
NodeT = TypeVar("NodeT")


class NodeState(Enum):
    """Of a node: not asked yet; in rotation; out of it; back for one request, which decides."""

    NEW = "new"
    ACTIVE = "active"
    OUT = "out"
    TRIAL = "trial"


class NodeOutcome(Enum):
    """What a request says of its node: it works, it says that it does not, or it does not answer."""

    WORKS = "works"
    FAILS = "fails"
    SILENT = "silent"


@dataclass
class PoolMember(Generic[NodeT]):
    """A node in the pool. `probing`: a probe is under way; `trying`: in TRIAL, the request that decides.

    `until` (seconds of the caller's clock): when the next probe is due; `failures` in a row; `worked`: ever.
    """

    node: NodeT
    state: NodeState = NodeState.NEW
    failures: int = 0
    until: float = 0.0
    silent: bool = False
    probing: bool = False
    trying: bool = False
    worked: bool = False


class Pool(Generic[NodeT]):
    """Safe to use from several threads. Times are passed in, in seconds of one clock.

    A single node is always taken: there is no other. Of several, each is probed before its first request
    (`due`, then `probed`), and again, after growing pauses, once it has failed. Whoever takes a node tells
    the outcome by `note`. A request is never kept waiting for a doubtful node, unless no other is left.
    """

    def __init__(self, nodes: Sequence[NodeT]) -> None:
        self._changed = threading.Condition()
        self._members = [PoolMember(node) for node in nodes]
        self._turns = count()

    @property
    def nodes(self) -> list[NodeT]:
        """All nodes, in the order in which they came."""
        return [member.node for member in self._members]

    def take(self, besides: Collection[NodeT] = ()) -> NodeT | None:
        """The node for the next request, none of those `besides`; None where no other is left.

        Where none works: first one that answers, if only to refuse, the one that was left alone longest.
        """
        with self._changed:
            left = [member for member in self._members if member.node not in besides]
            for member in left:
                if member.state is NodeState.TRIAL and not member.trying:
                    member.trying = True
                    return member.node
            well = [member for member in left if member.state is NodeState.ACTIVE]
            if well:
                return well[next(self._turns) % len(well)].node
            doubtful = sorted(left, key=lambda member: (member.silent, member.until))
            return doubtful[0].node if doubtful else None

    def note(self, node: NodeT, outcome: NodeOutcome, now: float) -> bool:
        """What became of a request to this node; whether it leaves the rotation by that."""
        with self._changed:
            return any(self._judge(member, outcome, now) for member in self._of(node))

    def due(self, now: float) -> list[NodeT]:
        """The nodes that are to be probed now, each by the caller, who then calls `probed`."""
        with self._changed:
            if len(self._members) == 1:
                return []
            doubtful = [m for m in self._members if m.state in (NodeState.NEW, NodeState.OUT)]
            due = [member for member in doubtful if member.until <= now and not member.probing]
            for member in due:
                member.probing = True
            return [member.node for member in due]

    def probed(self, node: NodeT, outcome: NodeOutcome, now: float) -> None:
        """What a probe said: one that answers at first works, one that failed before is on trial."""
        with self._changed:
            for member in self._of(node):
                member.probing = False
                if outcome is NodeOutcome.WORKS and member.state is NodeState.OUT:
                    member.state = NodeState.TRIAL
                elif member.state in (NodeState.NEW, NodeState.OUT):
                    self._judge(member, outcome, now, probe=True)
            self._changed.notify_all()

    def wait(self, seconds: float) -> None:
        """Wait, so long at most, while nothing but the first probes will tell which node works."""
        with self._changed:
            self._changed.wait_for(lambda: not self._undecided(), seconds)

    def replace(self, nodes: Sequence[NodeT]) -> list[NodeT]:
        """Have exactly these, known ones as they are; returns those that have left. None empties the pool."""
        with self._changed:
            if not nodes:
                return []
            known = {id(member.node): member for member in self._members}
            self._members = [known.get(id(node)) or PoolMember(node) for node in nodes]
            kept = {id(node) for node in nodes}
            return [member.node for member in known.values() if id(member.node) not in kept]

    def ever_worked(self, node: NodeT) -> bool:
        """Whether a node that is in the pool has ever answered as one that works."""
        with self._changed:
            return any(member.worked for member in self._of(node))

    def state(self, node: NodeT) -> NodeState:
        """The state of a node that is in the pool."""
        with self._changed:
            return next(member.state for member in self._of(node))

    def _of(self, node: NodeT) -> Iterator[PoolMember[NodeT]]:
        return (member for member in self._members if member.node is node)

    def _undecided(self) -> bool:
        usable = any(m.state in (NodeState.ACTIVE, NodeState.TRIAL) for m in self._members)
        return not usable and any(m.state is NodeState.NEW and m.probing for m in self._members)

    def _judge(
        self, member: PoolMember[NodeT], outcome: NodeOutcome, now: float, *, probe: bool = False
    ) -> bool:
        """One that is out already fails by probes alone: what was under way before tells nothing new."""
        was = member.state
        if outcome is NodeOutcome.WORKS:
            member.state, member.failures, member.trying, member.worked = NodeState.ACTIVE, 0, False, True
            return False
        if was is NodeState.OUT and not probe:
            return False
        pause = min(2.0 ** min(member.failures, 10), LONGEST_PAUSE)
        member.state, member.until, member.failures = NodeState.OUT, now + pause, member.failures + 1
        member.silent, member.trying = outcome is NodeOutcome.SILENT, False
        return was is not NodeState.OUT

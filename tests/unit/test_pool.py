"""Choosing the node of a request: never a doubtful one while another works, and none is lost for good."""

from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outboxctl.sink.transport.pool import LONGEST_PAUSE, NodeOutcome, NodeState, Pool

pytestmark = pytest.mark.no_servers
WORKS, FAILS, SILENT = NodeOutcome.WORKS, NodeOutcome.FAILS, NodeOutcome.SILENT
NAMES = ["a", "b", "c", "d"]


def _probed(pool: Pool[str], now: float, **outcomes: NodeOutcome) -> list[str]:
    """Probe what is due; those not named work."""
    due = pool.due(now)
    for node in due:
        pool.probed(node, outcomes.get(node, WORKS), now)
    return due


def _working(number: int = 3) -> Pool[str]:
    pool = Pool(NAMES[:number])
    _probed(pool, 0)
    return pool


def test_a_node_gets_no_request_before_it_has_answered_once() -> None:
    pool = Pool(NAMES[:3])
    assert sorted(pool.due(0)) == ["a", "b", "c"]
    assert pool.due(0) == [], "each is probed once at a time"
    pool.probed("b", WORKS, 0)
    assert {pool.take() for _ in range(5)} == {"b"}


def test_a_silent_node_is_probed_after_growing_pauses_and_gets_no_request_meanwhile() -> None:
    pool, now = _working(), 0.0
    assert pool.note("a", SILENT, now), "it leaves"
    for pause in (1.0, 2.0, 4.0, 8.0, 16.0, LONGEST_PAUSE, LONGEST_PAUSE):
        assert pool.due(now + pause - 0.1) == []
        now += pause
        assert _probed(pool, now, a=SILENT) == ["a"]
        assert "a" not in {pool.take() for _ in range(4)}


def test_where_none_works_those_that_answer_come_before_those_that_are_silent() -> None:
    pool = _working()
    pool.note("a", SILENT, 0)
    pool.note("b", FAILS, 1)
    pool.note("c", FAILS, 2)
    tried: list[str] = []
    while node := pool.take(tried):
        tried.append(node)
    assert tried == ["b", "c", "a"]


def test_nodes_that_stay_keep_their_state_and_the_pool_is_never_emptied() -> None:
    pool = _working()
    pool.note("a", SILENT, 0)
    assert pool.replace(["a", "b", "d"]) == ["c"]
    assert [pool.state(node) for node in ("a", "b", "d")] == [NodeState.OUT, NodeState.ACTIVE, NodeState.NEW]
    assert pool.replace([]) == []
    assert pool.nodes == ["a", "b", "d"]
    assert pool.note("c", FAILS, 0) is False, "an answer of a node that has left"


@dataclass
class Play:
    """A pool, and what is known of it from outside."""

    pool: Pool[str]
    now: float = 0.0
    waiting: list[str] = field(default_factory=list)  # requests under way
    probes: list[str] = field(default_factory=list)
    since: dict[str, float] = field(default_factory=dict)  # when a node failed, and has not answered since

    def take(self, besides: set[str]) -> None:
        states = {node: self.pool.state(node) for node in self.pool.nodes}
        node = self.pool.take(besides)
        assert (node is None) == (besides >= set(states))
        if node:
            assert node not in besides
            well = {each for each, state in states.items() if state is NodeState.ACTIVE} - besides
            assert not well or states[node] in (NodeState.ACTIVE, NodeState.TRIAL)
            if well and states[node] is NodeState.TRIAL:
                assert node not in self.since, "it has answered a probe"
            self.waiting.append(node)

    def probe(self) -> None:
        due = self.pool.due(self.now)
        assert not set(due) & set(self.probes), "one probe of a node at a time"
        assert all(self.now >= self.since.get(node, -1) for node in due)
        self.probes += due

    def end_request(self, outcome: NodeOutcome) -> None:
        if self.waiting:
            node = self.waiting.pop(0)
            self.pool.note(node, outcome, self.now)
            self._heard(node, outcome)

    def end_probe(self, outcome: NodeOutcome) -> None:
        if self.probes:
            node = self.probes.pop(0)
            self.pool.probed(node, outcome, self.now)
            self._heard(node, outcome)

    def _heard(self, node: str, outcome: NodeOutcome) -> None:
        if outcome is WORKS:
            self.since.pop(node, None)
        else:
            self.since.setdefault(node, self.now)


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("take"), st.sets(st.sampled_from(NAMES), max_size=4)),
        st.tuples(st.just("end_request"), st.sampled_from(NodeOutcome)),
        st.tuples(st.just("end_probe"), st.sampled_from(NodeOutcome)),
        st.tuples(st.just("probe"), st.none()),
        st.tuples(st.just("wait"), st.floats(0, 40)),
    ),
    max_size=60,
)


@given(st.integers(2, 4), STEPS)
def test_requests_go_to_nodes_that_work_and_each_node_comes_back(number: int, steps: list[Any]) -> None:
    play = Play(Pool(NAMES[:number]))
    for step, given_ in steps:
        if step == "wait":
            play.now += given_
        elif step == "probe":
            play.probe()
        else:
            getattr(play, step)(given_)
    _all_works(play)
    assert all(play.pool.state(node) is NodeState.ACTIVE for node in play.pool.nodes)


def _all_works(play: Play) -> None:
    """From now on every node answers: each must be back after the longest pause and two more requests."""
    while play.waiting:
        play.end_request(WORKS)
    while play.probes:
        play.end_probe(WORKS)
    play.now += LONGEST_PAUSE
    play.probe()
    while play.probes:
        play.end_probe(WORKS)
    for _ in play.pool.nodes:
        play.take(set())
    while play.waiting:
        play.end_request(WORKS)

"""Any interleaving of an application, workers that stop, wake or die, weather and operators ends well.

It is the same each time; `OUTBOXCTL_MODEL_EXAMPLES=5000` looks at so many new ones instead.
"""

import os
import sys
from unittest.mock import Mock
from uuid import UUID

import psycopg
import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    MultipleResults,
    RuleBasedStateMachine,
    consumes,
    initialize,
    invariant,
    multiple,
    precondition,
    rule,
    run_state_machine_as_test,
)

from model.application import CHANGES, ENTITIES
from model.clocks import Clocks
from model.oracle import LEASE
from model.weather import FAIR, WEATHERS
from model.world import Hand, World
from outboxctl.core.database import Database
from outboxctl.domain import clock
from outboxctl.domain.lifecycle import Status
from outboxctl.worker.claiming import leases as lease
from outboxctl.worker.settling import tally
from outboxctl.worker.upkeep import deletes as repeater

EXAMPLES = int(os.environ.get("OUTBOXCTL_MODEL_EXAMPLES", "0"))
SETTINGS = settings(
    max_examples=EXAMPLES or 200,
    derandomize=not EXAMPLES,
    phases=[Phase.generate, Phase.shrink],  # explaining a failure would take longer than finding it
    database=None,
    stateful_step_count=40,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
ENTITY = st.sampled_from(ENTITIES)
WEATHER = st.one_of(st.just(FAIR), st.sampled_from(list(WEATHERS)))
CHANGE = st.tuples(ENTITY, st.sampled_from(CHANGES), st.integers(0, 3))
SIZE = st.integers(1, 4)


class Outbox(RuleBasedStateMachine):
    """The acts of a world, in any order."""

    hands = Bundle("hands")

    def __init__(self, world: World) -> None:
        super().__init__()
        self.world = world

    @initialize(changes=st.lists(CHANGE, min_size=1, max_size=4))
    def begin(self, changes: list[tuple[UUID, str, int]]) -> None:
        for change in changes:
            self.world.change(*change)

    @rule(change=CHANGE)
    def change(self, change: tuple[UUID, str, int]) -> None:
        self.world.change(*change)

    @rule(target=hands, size=SIZE, reclaimed=st.integers(0, 3))
    def claim(self, size: int, reclaimed: int) -> Hand | MultipleResults[Hand]:
        return self.world.claim(size, reclaimed=reclaimed) or multiple()

    @rule(target=hands, size=SIZE, weather=WEATHER, victim=st.integers(0, 3))
    def claim_and_send(self, size: int, weather: str, victim: int) -> Hand | MultipleResults[Hand]:
        hand = self.world.claim(size)
        if hand:
            self.world.send(hand, weather, victim)
        return hand or multiple()

    @rule(target=hands, hand=consumes(hands), hold=st.booleans())
    def wake_too_late(self, hand: Hand, hold: bool) -> Hand | MultipleResults[Hand]:
        """Rare by chance, and what a fence is for: meanwhile another worker has what this one settles."""
        self.world.clocks.pass_time(LEASE + 1)
        self.world.reclaim()
        other = self.world.claim(1)
        self.world.settle(hand, hold=hold)
        return other or multiple()

    @rule(hand=consumes(hands), how=st.sampled_from(["count", "count", "hold", "stop", "die"]))
    def finish(self, hand: Hand, how: str) -> None:
        if how == "stop":
            self.world.release(hand)
        elif how == "die":
            self.world.kill(hand)
        else:
            self.world.settle(hand, hold=how == "hold")

    @rule(hand=hands)
    def renew(self, hand: Hand) -> None:
        self.world.renew(hand)

    @rule(seconds=st.integers(-4, 20), reclaim=st.booleans())
    def pass_time(self, seconds: int, reclaim: bool) -> None:
        self.world.clocks.pass_time(seconds)
        if reclaim:
            self.world.reclaim()

    @rule()
    def forget(self) -> None:
        """A node restarts, or `gc_deletes` is over: the index knows of no delete any more."""
        self.world.sky.store.forget_tombstones()

    @rule(weather=WEATHER, victim=st.integers(0, 3), dies=st.booleans())
    def delete_again(self, weather: str, victim: int, dies: bool) -> None:
        self.world.again.turn(weather, victim, dies=dies)

    @precondition(lambda self: self.world.sky.late)
    @rule(number=st.integers(0, 9))
    def arrive(self, number: int) -> None:
        self.world.sky.arrive(number % len(self.world.sky.late))

    @precondition(lambda self: self.world.oracle.having(Status.FAILED))
    @rule(limit=SIZE)
    def replay(self, limit: int) -> None:
        self.world.replay(limit)

    @invariant()
    def all_holds(self) -> None:
        self.world.check()

    def teardown(self) -> None:
        if sys.exc_info()[0] is None:  # else there is something to report already
            self.world.end()


@pytest.mark.slow(reason="200 random histories of up to 40 steps each: half a minute")
@pytest.mark.usefixtures("clock")
@pytest.mark.timeout(0 if EXAMPLES else 400)  # a failing trace is made short first
def test_any_interleaving_ends_with_the_index_equal_to_the_source(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (tally, repeater):  # a trace is long enough
        monkeypatch.setattr(module, "log", Mock())
    database = Database(url, connections=1)
    with psycopg.connect(url, autocommit=True) as sql:

        def machine() -> Outbox:
            clocks = Clocks(sql)
            for module in (lease, clock, repeater):
                monkeypatch.setattr(module, "monotonic", lambda: clocks.steady)
            return Outbox(World(sql, database, clocks))

        run_state_machine_as_test(machine, settings=SETTINGS)  # type: ignore[arg-type]
    database.close()

"""The storm on a cluster draws its blows by the seed, and judges answers and attempts as it says."""

from collections.abc import Mapping
from dataclasses import dataclass
from random import Random
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import psycopg
import pytest

from storm.nodes import attempts
from storm.nodes.blows import AWAY, DECK, LONGEST, Dealer, NodeBlow
from storm.nodes.copies import Copy, active
from storm.nodes.truth import Damage, damage
from storm.plan import beside_a_cluster

EVENT = """
INSERT INTO search_outbox_events (id, entity_type, entity_id, op, event_version, status, attempts, owner,
    processing_started_at)
VALUES (%s, 'block', gen_random_uuid(), 'upsert', 1, 'processing', 2, %s, now())
"""
GIVEN_BACK = """
UPDATE search_outbox_events SET status = 'pending', error_reason = %s, attempts = %s, owner = NULL,
    processing_started_at = NULL WHERE id = %s
"""


@pytest.mark.no_servers
@pytest.mark.parametrize(
    ("held", "settled", "removed", "wrong"),
    [
        (3, 3, [], None),
        (4, 3, [], None),  # written, and not yet known to be
        (2, 3, [], Damage.BACK),
        (2, 3, [1], Damage.BACK),  # the delete was before
        (2, 3, [3], Damage.RESURRECTED),
        (2, 4, [3], Damage.RESURRECTED),  # made again since
        (4, 3, [3], None),
        (None, 0, [], None),
        (None, 3, [], Damage.GONE),
        (None, 3, [2], Damage.GONE),  # made again since
        (None, 3, [3], None),
        (None, 3, [4], None),  # the delete is on its way
    ],
)
def test_an_answer_is_wrong_by_what_was_done_before(
    held: int | None, settled: int, removed: list[int], wrong: Damage | None
) -> None:
    assert damage(held, settled=settled, removed=removed) is wrong


@pytest.mark.no_servers
def test_a_deck_is_dealt_to_its_end_and_only_what_ends_in_time() -> None:
    dealer = Dealer(Random(1), [])
    assert sorted(dealer.blow(1_000) for _ in DECK) == sorted(DECK)
    for left in (10, 50):
        assert all(AWAY[dealer.blow(left)][1] <= left for _ in range(20))
    assert dealer.blow(0) is NodeBlow.END
    assert [Dealer(Random(7), []).blow(99) for _ in range(3)] == [Dealer(Random(7), []).blow(99)] * 3


@pytest.mark.no_servers
@pytest.mark.parametrize("seconds", [60, 600])
def test_deletes_are_sent_again_for_longer_than_a_node_is_frozen(seconds: float) -> None:
    assert beside_a_cluster(seconds).late > min(seconds, LONGEST)


@dataclass
class MadeUp:
    """A node with a cluster's state, as far as it is asked for."""

    name: str
    state: dict[str, Any]

    def ask(self, path: str, *, seconds: float) -> dict[str, Any]:
        del path, seconds
        return self.state


def view(leader: str | None, term: int, copies: Mapping[str, str]) -> dict[str, Any]:
    """One node's: the states of the copies of shard 0 by node."""
    shards = [
        {"state": state, "node": f"id-{name}", "allocation_id": {"id": f"of-{name}"}}
        for name, state in copies.items()
    ]
    return {
        "master_node": leader and f"id-{leader}",
        "nodes": {f"id-n{number}": {"name": f"n{number}"} for number in range(1, 4)},
        "metadata": {"cluster_coordination": {"term": term}},
        "routing_table": {"indices": {"i": {"shards": {"0": shards}}}},
    }


def seen(**views: dict[str, Any]) -> frozenset[Copy] | None:
    cluster: Any = SimpleNamespace(nodes=[MadeUp(*each) for each in views.items()])
    return active(cluster, "i")


@pytest.mark.no_servers
def test_copies_are_those_that_a_leader_of_most_nodes_calls_active() -> None:
    both, one = {"n1": "STARTED", "n2": "STARTED"}, {"n1": "STARTED", "n2": "INITIALIZING"}
    copies = frozenset([Copy(0, "n1", "of-n1")])
    assert seen(n1=view("n1", 3, one), n2=view("n1", 3, both), n3={}) == copies
    assert seen(n1=view("n1", 3, both), n2={}, n3={}) is None, "alone"
    assert seen(n1=view("n1", 3, both), n2=view("n3", 4, both), n3={}) is None, "of an older term"
    assert seen(n1=view("n3", 3, both), n2=view("n3", 3, both), n3={}) is None, "its leader is silent"
    assert seen(n1=view(None, 3, both), n2=view(None, 3, both), n3={}) is None
    bare = {name: part for name, part in view("n1", 3, {}).items() if name != "routing_table"}
    assert seen(n1=bare, n2=bare, n3={}) == frozenset(), "after the start of the whole cluster"


def test_an_attempt_that_is_returned_first_is_not_lost(sql: psycopg.Connection) -> None:
    attempts.note(sql)
    id_ = uuid4()
    sql.execute(EVENT, [id_, "w1"])
    with sql.transaction():
        sql.execute("UPDATE search_outbox_events SET attempts = attempts - 1 WHERE id = %s", [id_])
        sql.execute(GIVEN_BACK, ["timeout", 1, id_])
    assert attempts.lost(sql, []) == (0, {})


@pytest.mark.parametrize(
    ("reason", "left", "blow_at", "explained", "lost"),
    [
        ("lease_expired", 2, 0, 1, {}),
        ("lease_expired", 2, -60, 0, {"lease_expired": 1}),  # before the claim
        ("timeout", 2, 0, 0, {"timeout": 1}),
        ("unavailable", 1, 0, 0, {}),  # the attempt was given back
    ],
)
def test_attempts_are_lost_unless_a_blow_explains_them(
    sql: psycopg.Connection, reason: str, left: int, blow_at: float, explained: int, lost: dict[str, int]
) -> None:
    attempts.note(sql)
    id_ = uuid4()
    sql.execute(EVENT, [id_, "w1"])
    ((now,),) = sql.execute("SELECT extract(epoch FROM clock_timestamp())::float8").fetchall()
    sql.execute(GIVEN_BACK, [reason, left, id_])
    assert attempts.lost(sql, [("w1", now + blow_at), ("w2", now)]) == (explained, lost)

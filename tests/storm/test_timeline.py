"""What was seen of a document is held against its committed states, and each damage has its name."""

from typing import Any

import pytest

from storm.shop.timeline import Damage, State, Timeline

pytestmark = pytest.mark.no_servers


def state(mark: int, name: str = "", category: int | None = None) -> dict[str, Any]:
    """As it was committed."""
    return {"mark": mark, "name": name or f"name {mark}", "category_id": category}


def look(mark: int, name: str = "", category: int | None = None, rev: int | None = None) -> dict[str, Any]:
    """As it was seen."""
    return {**state(mark, name, category), "category_rev": rev}


# Made, changed, deleted, made again, hidden, shown in a category, moved to another one.
STATES: dict[int, State] = {
    **{1: state(1), 2: state(2), 3: None, 4: state(4), 5: None},
    **{6: state(6, category=7), 7: state(7, category=8), 8: state(8, category=7)},
}


def damage(*looks: State) -> list[Damage]:
    return [damage for damage, _ in Timeline(STATES).judge(looks)]


@pytest.mark.parametrize(
    "looks",
    [
        [None, look(1), look(2), None, look(4), None, look(6, category=7, rev=1)],
        [look(1), look(1), look(4)],
        [look(2), None, look(6, category=7, rev=2), look(6, category=7, rev=3)],
        [look(6, category=7, rev=3), look(7, category=8, rev=1), look(8, category=7, rev=3)],
        [look(1), None, None, look(6, category=7, rev=1)],
        [None, None],
    ],
)
def test_states_in_their_order_are_well_whatever_was_not_seen(looks: list[State]) -> None:
    assert damage(*looks) == []


@pytest.mark.parametrize(
    ("looks", "found"),
    [
        ([look(2), look(1)], Damage.BACK),
        ([look(4), look(2)], Damage.BACK),
        ([look(1), None, look(1)], Damage.RESURRECTED),
        ([look(1), None, look(2)], Damage.RESURRECTED),  # it was never seen before its delete
        ([look(4), None, look(4)], Damage.RESURRECTED),
        ([look(6, category=7, rev=2), look(6, category=7, rev=1)], Damage.BACK),
        ([look(6, category=7, rev=2), look(7, category=8, rev=1), look(8, category=7, rev=1)], Damage.BACK),
        ([look(6, category=7, rev=1), None], Damage.UNTRUE),  # nobody deleted it
        ([look(2, name="name 1")], Damage.UNTRUE),  # the content of another state
        ([look(9)], Damage.UNTRUE),
        ([look(3)], Damage.UNTRUE),
    ],
)
def test_each_damage_is_seen(looks: list[State], found: Damage) -> None:
    assert damage(*looks) == [found]


def test_a_damage_does_not_hide_the_next_one() -> None:
    assert damage(look(2), look(1), look(2), None, look(2)) == [Damage.BACK, Damage.RESURRECTED]

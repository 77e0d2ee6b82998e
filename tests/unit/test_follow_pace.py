"""The pace of changes that are expanded is that of what was done, and none before something was."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from outboxctl.core.stats.following import Following, FollowLook, FollowPace, TableLook, drain_seconds

pytestmark = pytest.mark.no_servers
BEGAN = datetime(2026, 1, 1, tzinfo=UTC)
PLACE = ("product", "shop.categories")


def after(*looks: tuple[float, int, int, int]) -> Following:
    """What is known after looks at these seconds: events that wait, that arrived meanwhile, keys found."""
    pace = FollowPace()
    for seconds, events, arrived, keys in looks:
        waiting = TableLook(events, arrived, keys, 1.0)
        pace.add(FollowLook(BEGAN + timedelta(seconds=seconds), {PLACE: waiting}))
    return pace.of(PLACE, waiting)


def test_where_nothing_was_done_no_time_is_told() -> None:
    seen = after((0, 1_000, 0, 0), (1, 1_200, 200, 0))
    assert (seen.events_per_second, seen.drain_seconds) == (None, None)


def test_what_comes_meanwhile_makes_it_longer() -> None:
    seen = after((0, 1_000, 0, 0), (2, 900, 100, 0))
    assert (seen.events_per_second, seen.drain_seconds) == (100, 18)
    assert after((0, 1_000, 0, 0), (2, 1_000, 200, 0)).drain_seconds is None, "as many come"


def test_the_documents_of_a_single_change_are_told_without_an_end() -> None:
    seen = after((0, 1, 0, 10_000), (2, 1, 0, 110_000))
    assert (seen.keys_per_second, seen.events_per_second, seen.drain_seconds) == (50_000, None, None)


def test_the_slowest_table_decides_and_what_is_unknown_is_not_told() -> None:
    known, unknown = Following("a", 0, 1, 1.0, 1.0, None, 30.0), Following("b", 0, 1, 1.0)
    assert drain_seconds(5.0, [known, replace(known, drain_seconds=20.0)]) == 35.0
    assert drain_seconds(5.0, []) == 5.0
    assert drain_seconds(5.0, [known, unknown]) is None
    assert drain_seconds(None, [known]) is None

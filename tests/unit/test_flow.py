"""How workers' reports add up, whatever they report."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outboxctl.core.stats.workers import Flow, WorkerRow, flow

pytestmark = pytest.mark.no_servers
RATE = st.none() | st.floats(0, 1e12)
NOW = datetime(2026, 2, 3, tzinfo=UTC)


def worker(rate_in: float | None, rate_out: float | None, circuit_open: bool, alive: bool) -> WorkerRow:
    return WorkerRow("id", "w", "h", 1, "1", NOW, NOW, 0.0, 1, "hold", circuit_open, rate_in, rate_out, alive)


@given(st.lists(st.builds(worker, RATE, RATE, st.booleans(), st.booleans())))
def test_only_the_living_count_and_each_sees_all_that_comes_in(workers: list[WorkerRow]) -> None:
    seen, alive = flow(workers), [each for each in workers if each.alive]
    assert seen == flow(alive)
    assert (seen.circuit_open is None) == (not alive)
    ins = [each.rate_in for each in alive if each.rate_in is not None]
    assert (seen.rate_in is None) == (not ins)
    if seen.rate_in is not None:
        assert min(ins) - 1e-3 <= seen.rate_in * (1 + 1e-9)
        assert seen.rate_in <= max(ins) * (1 + 1e-9)


@given(st.integers(0, 10**9), RATE, RATE)
def test_time_to_drain_is_known_only_where_the_lag_shrinks(
    lag: int, rate_in: float | None, rate_out: float | None
) -> None:
    seconds = Flow(rate_in, rate_out, False).drain_seconds(lag)
    shrinks = rate_out is not None and rate_out > (rate_in or 0)
    assert (seconds is not None) == (shrinks or lag == 0)
    assert seconds is None or seconds >= 0

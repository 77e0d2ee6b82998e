"""Time that is passed in: tests of the core never sleep."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

NOW = datetime(2026, 2, 3, 10, 0, tzinfo=UTC)
Insert = Callable[..., str]


def at(seconds: float) -> datetime:
    """A moment so many seconds after the test's beginning."""
    return NOW + timedelta(seconds=seconds)

"""How many rounds a rebuild catches up for, and which of them give way to live events."""

from dataclasses import dataclass
from typing import Any

import pytest

from outboxctl.operations.rebuild import rounds as rebuild_rounds

pytestmark = pytest.mark.no_servers


@dataclass
class Saved:
    """In place of the tools: what was saved at the end."""

    phase: str = ""

    def save(self, rebuild: Any, *, phase: str) -> Any:
        """Keep the phase."""
        self.phase = phase
        return rebuild


def rounds(monkeypatch: pytest.MonkeyPatch, *seconds: float) -> list[bool]:
    """For rounds that take so long: whether each that was made gave way."""
    now, left, made = [0.0], list(seconds), list[bool]()

    def follow(_tools: Any, rebuild: Any, *, gives_way: bool) -> Any:
        made.append(gives_way)
        now[0] += left.pop(0)
        return rebuild

    monkeypatch.setattr(rebuild_rounds, "follow", follow)
    monkeypatch.setattr(rebuild_rounds, "monotonic", lambda: now[0])
    tools: Any = Saved()
    row: Any = None
    rebuild_rounds.catch_up(tools, row)
    assert tools.phase == "swap"
    return made


def test_a_short_round_is_the_last(monkeypatch: pytest.MonkeyPatch) -> None:
    assert rounds(monkeypatch, 1) == [True]
    assert rounds(monkeypatch, 40, 10, 2) == [True] * 3


def test_rounds_that_do_not_become_shorter_end_with_one_that_gives_way_to_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert rounds(monkeypatch, 40, 38, 20) == [True, True, False]
    assert rounds(monkeypatch, 40, 60, 70) == [True, True, False]
    assert rounds(monkeypatch, 40, 20, 10, 9, 8) == [True, True, True, True, False]


def test_there_are_five_rounds_at_the_most(monkeypatch: pytest.MonkeyPatch) -> None:
    assert rounds(monkeypatch, 100, 50, 25, 12, 6) == [True] * 5

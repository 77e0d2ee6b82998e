"""What an application does: statements with chosen rows in them, and how often."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import count
from random import Random

FIRST = date(2022, 1, 1)
DAYS = 364
NEW = 1_000_000  # ids that a session adds: its own million


@dataclass(frozen=True, init=False)
class Act:
    """Statements that belong together, done `often` in proportion to others."""

    often: float
    statements: tuple[str, ...]

    def __init__(self, often: float, *statements: str) -> None:
        object.__setattr__(self, "often", often)
        object.__setattr__(self, "statements", statements)

    def chosen(self, values: Mapping[str, object]) -> Iterator[str]:
        """Its statements with these values."""
        return (statement.format(**values) for statement in self.statements)


class Choice:
    """What one session writes: `numbers` are the highest ids by name."""

    def __init__(self, numbers: Mapping[str, int], number: int, rng: Random) -> None:
        self._numbers, self._rng, self._new = numbers, rng, count(NEW * (number + 1))

    def values(self) -> dict[str, object]:
        """A value for each name that statements have."""
        day = FIRST + timedelta(days=self._rng.randrange(DAYS))
        ids = {name: self._rng.randint(1, most) for name, most in self._numbers.items()}
        return {"new": next(self._new), "word": f"word {self._rng.randrange(10**6)}", "day": day, **ids}

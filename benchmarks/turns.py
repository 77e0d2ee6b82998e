"""The order of a repetition: what drifts meanwhile must hit everything that is compared."""

from collections.abc import Sequence
from typing import TypeVar

Thing = TypeVar("Thing")


def turns(things: Sequence[Thing], number: int) -> list[Thing]:
    """The things of repetition `number` in their order, every other time the other way round."""
    return list(things if number % 2 else reversed(things))


def ratios(values: Sequence[float], to: Sequence[float]) -> list[float]:
    """Each repetition's value against the other of the same repetition."""
    return [value / other for value, other in zip(values, to, strict=True)]

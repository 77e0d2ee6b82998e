"""What was seen of one document, held against the states that it was ever committed in."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

State = Mapping[str, Any] | None  # a document without its category's number; None: there is none
MARK, CATEGORY, REV = "mark", "category_id", "category_rev"


class Damage(StrEnum):
    """How a document was seen to be wrong."""

    BACK = "went back"
    RESURRECTED = "resurrected"
    UNTRUE = "never committed"


@dataclass
class Timeline:
    """One document: its committed states by mark, and the least mark that it can have by now.

    Before its first state it is not there, at mark 0.
    """

    states: Mapping[int, State]
    place: int = 0
    _gone: bool = True
    _revs: dict[int, int] = field(default_factory=dict)

    def judge(self, looks: Sequence[State]) -> Iterator[tuple[Damage, str]]:
        """What is wrong with these looks, one after the other."""
        for look in looks:
            yield from self._there(look) if look else self._missing()
            self._gone = look is None

    def _missing(self) -> Iterator[tuple[Damage, str]]:
        """The first state without a document is the one that was seen, or an earlier one."""
        states = {0: None, **self.states}
        without = [mark for mark, state in states.items() if mark >= self.place and state is None]
        if not without:
            yield Damage.UNTRUE, f"it is gone after mark {self.place}, and was not deleted"
        self.place = min(without, default=self.place)

    def _there(self, look: Mapping[str, Any]) -> Iterator[tuple[Damage, str]]:
        mark, rev = look[MARK], look[REV]
        if mark < self.place:
            damage = Damage.RESURRECTED if self._gone else Damage.BACK
            yield damage, f"mark {mark} after {self.place}"
        if {**look, REV: None} != {**(self.states.get(mark) or {}), REV: None}:
            yield Damage.UNTRUE, f"mark {mark} has another content than was committed"
        newest = self._revs.get(look[CATEGORY], 0)
        if rev is not None and rev < newest:
            yield Damage.BACK, f"category {look[CATEGORY]} at {rev} after {newest}"
        self.place = max(self.place, mark)
        self._revs[look[CATEGORY]] = max(newest, rev or 0)

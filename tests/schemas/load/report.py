"""What the load was, and what came of it."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from storm.report import counts

SHOWN = 10


@dataclass
class Report:
    """Figures, and `wrong`: every way in which anything is not as it must be.

    `right_after` are the seconds from the last write to the last document's settle, and `follow_rate` the
    follow events a second from the first write until then. `oldest` is the longest that an event of each
    kind has waited, in seconds, by a look each second: of a document, of a followed row, of all documents.
    """

    seed: int
    seconds: float = 0
    application: dict[str, int] = field(default_factory=dict)
    kills: int = 0
    documents: dict[str, int] = field(default_factory=dict)
    events: int = 0
    follow_events: int = 0
    follow_rate: float = 0
    oldest: dict[str, float] = field(default_factory=dict)
    right_after: float = 0
    wrong: list[str] = field(default_factory=list)

    def text(self) -> str:
        """For people."""
        lines = {
            "application": f"{counts(self.application)}, in {self.seconds:.0f} s, seed {self.seed}",
            "killed": f"{self.kills} workers, by -9",
            "events": f"{self.events:,}",
            "follow events": f"{self.follow_events:,}, {self.follow_rate:.0f} a second",
            "documents": f"{counts(self.documents)}; compared with their rows, field by field",
            "waited longest": self._waited(),
            "right after": f"{self.right_after:.1f} s from the last write to the last document",
            "wrong": str(len(self.wrong)),
        }
        width = max(map(len, lines)) + 2
        more = [f"… and {len(self.wrong) - SHOWN} more"] if len(self.wrong) > SHOWN else []
        shown = [f"{name:<{width}}{text}" for name, text in lines.items()]
        return "\n".join([*shown, *(f"WRONG: {text}" for text in self.wrong[:SHOWN]), *more])

    def _waited(self) -> str:
        by_time = sorted(self.oldest.items(), key=lambda each: -each[1])
        return "; ".join(f"{kind}: {seconds:.1f} s" for kind, seconds in by_time[:SHOWN])


def longest(one: Mapping[str, float], other: Mapping[str, float]) -> dict[str, float]:
    """The longer time of each kind."""
    return {kind: max(one.get(kind, 0), other.get(kind, 0)) for kind in one.keys() | other.keys()}

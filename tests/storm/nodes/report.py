"""What a storm was on a cluster, and what it did not break there."""

from dataclasses import dataclass, field

from storm.shop.report import counts


@dataclass
class NodesReport:
    """Figures; what is true of any storm is in `storm.report`.

    `attempts_lost` by reason, without those that blows at workers explain; `back_seconds` is the longest time
    for which a deleted document was seen to be back.
    """

    what: str = ""
    roles: dict[str, int] = field(default_factory=dict)
    counted: int = 0
    left_out: dict[str, int] = field(default_factory=dict)
    went_back: int = 0
    was_gone: int = 0
    came_back: int = 0
    back_seconds: float = 0
    attempts_explained: int = 0
    attempts_lost: dict[str, int] = field(default_factory=dict)

    def lines(self) -> dict[str, str]:
        """For people: a text for each name."""
        back = f"{self.came_back} deleted documents seen, for {self.back_seconds:.0f} s at the most"
        lost = counts(self.attempts_lost) or "0"
        attempts = f"{lost}; with workers that were struck: {self.attempts_explained:,}"
        return {
            "cluster": self.what,
            "nodes struck": counts(self.roles),
            "answers": f"{self.counted:,} of copies; left out: {counts(self.left_out) or 0}",
            "went back": str(self.went_back),
            "was gone": str(self.was_gone),
            "came back": f"{back if self.came_back else 0}",
            "attempts lost": attempts,
        }

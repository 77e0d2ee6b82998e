"""What the shop's part of a storm was, and what it did not break."""

from dataclasses import dataclass, field


@dataclass
class ShopReport:
    """Figures; `events` by kind, `transactions` by their end or error."""

    transactions: dict[str, int] = field(default_factory=dict)
    events: dict[str, int] = field(default_factory=dict)
    states: int = 0
    looks: int = 0
    different: int = 0
    documents: int = 0
    lost: int = 0
    went_back: int = 0
    resurrected: int = 0
    never_committed: int = 0
    failed: dict[str, int] = field(default_factory=dict)
    application_errors: int = 0
    verify: int = -1

    def lines(self) -> dict[str, str]:
        """For people: a text for each name."""
        return {
            "transactions": counts(self.transactions),
            "their events": counts(self.events),
            "states": f"{self.states:,} committed; {self.looks:,} looks, {self.different:,} states seen",
            "their documents": f"{self.documents:,}, compared with the rows of the view",
            "verify": f"exit code {self.verify}",
            "lost": str(self.lost),
            "went back": str(self.went_back),
            "resurrected": str(self.resurrected),
            "never committed": str(self.never_committed),
            "failed": counts(self.failed) or "0",
            "their errors": str(self.application_errors),
        }


def counts(of: dict[str, int]) -> str:
    """Each with its name."""
    return "; ".join(f"{name}: {count:,}" for name, count in of.items())

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


def lines(report: object) -> dict[str, str]:
    """For people: a text for each figure of a report."""
    shown = {name.replace("_", " "): value for name, value in vars(report).items()}
    return {name: counts(of) or "0" if isinstance(of, dict) else f"{of:,}" for name, of in shown.items()}


def counts(of: dict[str, int]) -> str:
    """Each with its name."""
    return "; ".join(f"{name}: {count:,}" for name, count in of.items())

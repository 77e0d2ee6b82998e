"""What the parts of a storm report: figures, as text for people, and the events that failed."""

from dataclasses import dataclass, field

import psycopg

FAILED = """
SELECT concat_ws(': ', error_reason, left(min(error), 200)), count(*) FROM search_outbox_events
WHERE entity_type = %s AND status = 'failed' GROUP BY error_reason
"""


@dataclass
class PartReport:
    """Figures of a projection's part; `events` by kind, `transactions` by their end or error.

    `verify` is the exit code of our own command.
    """

    projection: str
    transactions: dict[str, int]
    documents: int
    looks: int
    lost: int
    went_back: int
    application_errors: int
    failed: dict[str, int]
    events: dict[str, int] = field(default_factory=dict)
    changes: dict[str, int] = field(default_factory=dict)
    changes_seen: int = 0
    verify: int = 0

    def lines(self) -> dict[str, str]:
        """For people: a text for each figure."""
        shown = {name.replace("_", " "): value for name, value in vars(self).items()}
        return {name: counts(of) or "0" if isinstance(of, dict) else f"{of}" for name, of in shown.items()}


def failed(sql: psycopg.Connection, entity_type: str) -> dict[str, int]:
    """How many events of this type failed, which none may, by their reason, with one of the errors."""
    return {str(reason): count for reason, count in sql.execute(FAILED, [entity_type]).fetchall()}


def counts(of: dict[str, int]) -> str:
    """Each with its name."""
    return "; ".join(f"{name}: {count:,}" for name, count in of.items())

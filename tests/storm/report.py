"""What a storm was, and what it did not break."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import psycopg

from storm.watch import AT_MOST

MIB = 2**20
GROWTH = 32 * MIB  # bytes that a worker's memory may grow once it has settled: a leak is much more by then
SHOWN = 10
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


@dataclass(frozen=True)
class Course:
    """A figure over time: its first, last and highest value."""

    first: int
    last: int
    peak: int

    @classmethod
    def of(cls, values: Sequence[int]) -> "Course":
        """The course of these values, the first of which comes after a tenth: then it has settled."""
        settled = values[len(values) // 10 :] or [0]
        return cls(settled[0], settled[-1], max(settled))


@dataclass
class Report:
    """Figures, and `wrong`: every way in which anything is not as it must be."""

    seed: int = 0
    events: int = 0
    documents: int = 0
    seconds: float = 0
    blows: dict[str, int] = field(default_factory=dict)
    faults: dict[str, int] = field(default_factory=dict)
    requests: int = 0
    reclaimed: int = 0
    resent: int = 0
    lost: int = 0
    resurrected: int = 0
    failed: dict[str, int] = field(default_factory=dict)
    looks: int = 0
    memory: Course = field(default_factory=lambda: Course(0, 0, 0))
    connections: Course = field(default_factory=lambda: Course(0, 0, 0))
    parts: list[PartReport] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)

    def judge_course(self) -> None:
        """Memory and connections must be flat."""
        if self.memory.last - self.memory.first > GROWTH:
            self.wrong.append(f"the memory of a worker grew: {_mib(self.memory)}")
        if self.connections.last > AT_MOST or self.connections.peak > 2 * AT_MOST:
            self.wrong.append(f"a worker had too many connections: {_course(self.connections)}")

    def text(self) -> str:
        """For people."""
        own = ("seconds", "seed", "events", "documents", "requests", "reclaimed", "resent", "looks")
        figures = {name: f"{getattr(self, name):,.0f}" for name in (*own, "lost", "resurrected")}
        figures |= {name: counts(getattr(self, name)) or "0" for name in ("blows", "faults", "failed")}
        figures |= {"memory, MiB": _mib(self.memory), "connections": _course(self.connections)}
        parts = [figures, *({"": "", **each.lines()} for each in self.parts)]
        width = max(len(name) for part in parts for name in part) + 2
        shown = [f"{name:<{width}}{text}".rstrip() for part in parts for name, text in part.items()]
        more = [f"… and {len(self.wrong) - SHOWN} more"] if len(self.wrong) > SHOWN else []
        return "\n".join([*shown, *(f"WRONG: {text}" for text in self.wrong[:SHOWN]), *more])


def _course(course: Course) -> str:
    return f"{course.first} first, {course.last} last, {course.peak} at the most"


def _mib(course: Course) -> str:
    return _course(Course(course.first // MIB, course.last // MIB, course.peak // MIB))

"""What the demo tells while it goes on, and what it says at the end."""

from dataclasses import dataclass, field
from pathlib import Path

from outboxctl.core.stats.snapshot import PipelineStatus
from outboxctl.drills.services import Services
from outboxctl.sink.index.index_setup import Hit


@dataclass(frozen=True)
class Step:
    """A step begins."""

    name: str
    doing: str


@dataclass(frozen=True)
class DemoProgress:
    """How far the step is."""

    done: int
    total: int


@dataclass(frozen=True)
class StepOutput:
    """The step has ended: what came of it and, if it changed events, where they stand now."""

    text: str
    standing: PipelineStatus | None = None
    hits: tuple[Hit, ...] = ()


Event = Step | DemoProgress | StepOutput


@dataclass(frozen=True)
class DemoCheck:
    """One thing that was seen, against what had to be seen."""

    name: str
    seen: int
    expected: int
    at_least: bool = False
    ok: bool = field(init=False)

    def __post_init__(self) -> None:
        """`ok` is a field, not a property, so that it is part of the JSON."""
        met = self.seen >= self.expected if self.at_least else self.seen == self.expected
        object.__setattr__(self, "ok", met)


@dataclass(frozen=True)
class Kept:
    """What `--keep` left running, for `OUTBOXCTL_STATE`, `DATABASE_URL` and the like."""

    state: str
    database_url: str
    elastic_url: str
    elastic_index: str

    @classmethod
    def of(cls, folder: Path, both: Services, index: str) -> "Kept":
        """The facts by which a user reaches the services and ends them."""
        return cls(str(folder), both.postgres.url, both.search.url, index)


@dataclass(frozen=True)
class DemoReport:
    """The closing report. `ok` only if every check is; `worker_log` only where something was wrong."""

    ok: bool
    seconds: float
    python: str
    postgres: str
    search: str
    caveat: str
    documents: int
    query: str
    hits: tuple[Hit, ...]
    replay_dry_run: tuple[str, ...]
    checks: tuple[DemoCheck, ...]
    kept: Kept | None
    worker_log: str | None

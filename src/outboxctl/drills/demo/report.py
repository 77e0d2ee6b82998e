"""The demo's progress while it runs, and its report at the end."""

from dataclasses import dataclass, field

from outboxctl.core.stats.snapshot import PipelineStatus
from outboxctl.sink.index.index_setup import Hit


@dataclass(frozen=True)
class DemoStep:
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
    """A step has ended: its result and, if it changed events, their status now."""

    text: str
    status: PipelineStatus | None = None
    hits: tuple[Hit, ...] = ()


Event = DemoStep | DemoProgress | StepOutput


@dataclass(frozen=True)
class DemoCheck:
    """An observed count against the expected one."""

    name: str
    seen: int
    expected: int
    at_least: bool = False
    ok: bool = field(init=False)

    def __post_init__(self) -> None:
        """`ok` is a field, not a property, so that it is in the JSON."""
        met = self.seen >= self.expected if self.at_least else self.seen == self.expected
        object.__setattr__(self, "ok", met)


@dataclass(frozen=True)
class Kept:
    """What `--keep` left running, for `OUTBOXCTL_STATE`, `DATABASE_URL` and the like."""

    state: str
    database_url: str
    elastic_url: str
    elastic_index: str
    projection: str


@dataclass(frozen=True)
class DemoProjection:
    """What became of one row of an application's own tables, and the documents behind it.

    The transaction that gave `module` the name `renamed` wrote `events`; `followed` documents had it
    `seconds` after the transaction began. `hits` are those of `query`.
    """

    name: str
    index: str
    module: str = ""
    renamed: str = ""
    events: int = 0
    followed: int = 0
    seconds: float = 0.0
    query: str = ""
    hits: tuple[Hit, ...] = ()


@dataclass(frozen=True)
class DemoReport:
    """The report. `ok` only if every check is; `worker_log` only where a check failed."""

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
    projection: DemoProjection
    checks: tuple[DemoCheck, ...]
    kept: Kept | None
    worker_log: str | None

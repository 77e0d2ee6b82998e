"""Whom the demo tells how far it is, and its report at the end."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from outboxctl.core.stats.snapshot import PipelineStatus
from outboxctl.sink.index.index_setup import Hit


class Screen(Protocol):
    """Shows the steps."""

    def step(self, name: str, doing: str) -> None:
        """A step begins."""

    def progress(self, done: int, total: int) -> None:
        """How far the step is."""

    def detail(self, text: str) -> None:
        """What the services say while they start and end."""

    def ended(self, text: str, status: PipelineStatus | None = None, hits: Sequence[Hit] = ()) -> None:
        """A step has ended: its result and, if it changed events, their status now."""


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


@dataclass
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
    worker_log: str | None

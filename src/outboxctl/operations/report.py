"""Everything that a report shows of an outbox, read part by part: one that fails costs no other."""

from collections.abc import Callable
from contextlib import AbstractContextManager, closing
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TypeVar

from outboxctl import __version__
from outboxctl.core.database import Connection, Database
from outboxctl.core.inspect.server import server
from outboxctl.core.operator import audit
from outboxctl.core.operator.audit import AuditRow
from outboxctl.core.operator.selection import Group, Selection, failed_groups
from outboxctl.core.stats import snapshot, workers
from outboxctl.core.stats.snapshot import EventRow, PipelineStatus
from outboxctl.domain.errors import OutboxctlError, UsageError
from outboxctl.net.urls import without_credentials
from outboxctl.operations.check import figures
from outboxctl.operations.check.figures import CheckedFigure, CheckFacts, CheckLimits
from outboxctl.operations.check.sample_comparison import Drift, drift
from outboxctl.settings import Settings
from outboxctl.sink.inspect.product import product
from outboxctl.sink.transport.open import connect
from outboxctl.sink.transport.request import shaped

PATIENCE = 10.0  # seconds for one request to the sink
SAMPLE = 200  # entities that are compared with the index
CAUSES, ROWS = 20, 10
Part = TypeVar("Part")
Begin = Callable[[], AbstractContextManager[Connection]]


@dataclass
class Overview:
    """What `report` shows; a part that could not be read is None, and `missing` holds why, by its name.

    `state` is CRITICAL (there are `findings`, lines as those of `check`), UNKNOWN (there are none, but a side
    is unreachable) or OK. `causes` are the most frequent of `causes_in_all`. `at` is the database's time, or
    this machine's where the database is unreachable.
    """

    at: datetime
    database: str
    sink: list[str]
    index: str
    outboxctl: str = field(default_factory=lambda: __version__)  # no part of the schema
    state: str = "UNKNOWN"
    missing: dict[str, str] = field(default_factory=dict)
    findings: list[str] = field(default_factory=list)
    figures: list[CheckedFigure] = field(default_factory=list)
    postgres: str | None = None
    product: str | None = None
    standing: PipelineStatus | None = None
    stuck: list[EventRow] | None = None
    causes: list[Group] | None = None
    causes_in_all: int = 0
    acts: list[AuditRow] | None = None
    drift: Drift | None = None

    def read(self, what: str, reader: Callable[[], Part]) -> Part | None:
        """One part; None where it cannot be read (`missing` says why). UsageError of the database alone."""
        try:
            return reader()
        except OutboxctlError as error:
            if what == "database" and isinstance(error, UsageError):
                raise
            self.missing[what] = str(error)
            return None


def overview(settings: Settings, begin: Begin) -> Overview:
    """Read all that can be read from both sides.

    `begin` opens a read-only transaction with a time limit. Raises UsageError for a damaged schema, a
    contradicting marker or unusable settings.
    """
    with closing(Database(settings.require_database_url(), connections=1)) as database:
        name = database.name
    addresses = [without_credentials(url) for url in settings.sink_urls]
    result = Overview(datetime.now(UTC), name, addresses, settings.elastic_index)
    limits, longest = CheckLimits(settings.sla_oldest_age_seconds), settings.max_processing_seconds
    if facts := result.read("database", lambda: _facts(result, begin, limits, longest)):
        result.standing = facts.status
        _rows(result, begin, longest)
    result.read("sink", lambda: _sink(result, settings))
    if facts:
        result.figures = figures.judge(facts, limits, result.drift)
        result.findings = [figure.line for figure in result.figures if not figure.well]
    unreachable = {"database", "sink"} & set(result.missing)
    result.state = "CRITICAL" if result.findings else "UNKNOWN" if unreachable else "OK"
    return result


def _facts(result: Overview, begin: Begin, limits: CheckLimits, longest: float) -> CheckFacts:
    with begin() as connection:
        result.at = workers.clock(connection)
        result.postgres = server(connection).version
        return figures.read(connection, limits, max_processing=longest)


def _rows(result: Overview, begin: Begin, longest: float) -> None:
    """Lists, each in a transaction of its own."""

    def part(what: str, reader: Callable[[Connection], Part]) -> Part | None:
        def read() -> Part:
            with begin() as connection:
                return reader(connection)

        return result.read(what, read)

    result.stuck = part("stuck", lambda c: snapshot.stuck(c, limit=ROWS, max_processing=longest))
    result.acts = part("acts", lambda c: audit.recent_actions(c, limit=ROWS))
    causes = part("causes", lambda c: failed_groups(c, Selection()))
    if causes is not None:
        result.causes, result.causes_in_all = causes[:CAUSES], len(causes)


def _sink(result: Overview, settings: Settings) -> None:
    with closing(connect(settings, connections=1, timeout=PATIENCE)) as client:
        server = shaped(lambda: product(client))
        result.product = f"{server.distribution} {server.number}".strip()
        if result.standing:
            index, url = settings.elastic_index, settings.require_database_url()
            with closing(Database(url, longest=PATIENCE)) as database:
                result.drift = result.read("drift", lambda: drift(database, client, index, SAMPLE))

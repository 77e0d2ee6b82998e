"""Everything that a report shows of an outbox, read part by part: what cannot be had costs nothing else."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypeVar

from outboxctl import __version__
from outboxctl.core.database import Database
from outboxctl.core.inspect.server import server
from outboxctl.core.operator import failed, trail
from outboxctl.core.operator.failed import Group
from outboxctl.core.operator.selection import Selection
from outboxctl.core.operator.trail import AuditRow
from outboxctl.core.stats import delivered, snapshot, waiting, workers
from outboxctl.core.stats.delivered import Delivered
from outboxctl.core.stats.snapshot import EventRow, PipelineStatus
from outboxctl.core.stats.waiting import Aged, Retries
from outboxctl.domain.errors import OutboxctlError, UsageError
from outboxctl.domain.lifecycle import PROJECTION
from outboxctl.net.urls import without_credentials
from outboxctl.operations.check import figures
from outboxctl.operations.check.figures import CheckedFigure, CheckFacts, CheckLimits
from outboxctl.operations.check.sample_comparison import Drift, drift
from outboxctl.sink.inspect.product import product
from outboxctl.sink.transport.open import connect
from outboxctl.sink.transport.request import shaped

if TYPE_CHECKING:
    from outboxctl.core.database import Connection
    from outboxctl.operations.check.sample_comparison import Begin
    from outboxctl.settings import Settings

PATIENCE = 10.0  # seconds for one request to the sink
SAMPLE = 200  # entities that are compared with the index
CAUSES, ROWS = 20, 10
Part = TypeVar("Part")


@dataclass(frozen=True)
class LimitExceeded:
    """A figure beyond its limit: what it means, the limit in words, and the command that tells more."""

    name: str
    said: str
    limit: str
    run: str


@dataclass
class Overview:
    """What `report` shows; what could not be read is None, and why stands in `missing` by what it is.

    `state` is CRITICAL (there are `findings`), UNKNOWN (there are none, but an end is away) or OK.
    `causes` are the most frequent of `causes_in_all`. `at` is the database's time, ours where it is away.
    """

    at: datetime
    database: str
    sink: list[str]
    index: str
    settings: Sequence[Mapping[str, Any]]
    outboxctl: str = field(default_factory=lambda: __version__)  # no part of the schema
    projection: str = PROJECTION
    state: str = "UNKNOWN"
    missing: dict[str, str] = field(default_factory=dict)
    findings: list[LimitExceeded] = field(default_factory=list)
    figures: list[CheckedFigure] = field(default_factory=list)
    postgres: str | None = None
    product: str | None = None
    standing: PipelineStatus | None = None
    delivered: Delivered | None = None
    pending_by_age: list[Aged] | None = None
    retries: list[Retries] | None = None
    stuck: list[EventRow] | None = None
    causes: list[Group] | None = None
    causes_in_all: int = 0
    acts: list[AuditRow] | None = None
    drift: Drift | None = None

    def read(self, what: str, begin: "Begin", reader: Callable[["Connection"], Part]) -> Part | None:
        """One part in a transaction of its own; None, and why, where that is not to be had."""
        try:
            with begin() as connection:
                return reader(connection)
        except OutboxctlError as error:
            self.missing[what] = str(error)
            return None


def overview(settings: "Settings", begin: "Begin", shown: Sequence[Mapping[str, Any]]) -> Overview:
    """Read it all, from either end what is to be had; `shown` are the settings as people may see them.

    `begin` opens a read-only transaction that is given up after a while. Raises UsageError for a
    damaged schema, a contradicting marker or unusable settings.
    """
    with closing(Database(settings.require_database_url(), connections=1)) as database:
        name = database.name
    addresses = [without_credentials(url) for url in settings.sink_urls]
    found = Overview(datetime.now(UTC), name, addresses, settings.elastic_index, shown)
    limits = CheckLimits(settings.sla_oldest_age_seconds)
    facts = _database(found, begin, limits, settings.max_processing_seconds)
    _sink(found, begin, settings)
    if facts:
        found.figures = figures.judge(facts, limits, found.drift)
        found.findings = [_finding(figure) for figure in found.figures if not figure.well]
    away = {"database", "sink"} & set(found.missing)
    found.state = "CRITICAL" if found.findings else "UNKNOWN" if away else "OK"
    return found


def _finding(figure: CheckedFigure) -> LimitExceeded:
    limit = "none" if figure.limit is None else f"{figure.limit:g} {figure.unit}".strip()
    return LimitExceeded(figure.name, figure.message, limit, figure.help)


def _database(found: Overview, begin: "Begin", limits: CheckLimits, longest: float) -> CheckFacts | None:
    try:
        with begin() as connection:
            found.at = workers.clock(connection)
            facts = figures.read(connection, limits, max_processing=longest)
            found.postgres = server(connection).version
    except UsageError:
        raise
    except OutboxctlError as error:
        found.missing["database"] = str(error)
        return None
    found.standing = facts.standing
    found.delivered = found.read("delivered", begin, delivered.delivered)
    found.pending_by_age = found.read("pending_by_age", begin, waiting.by_age)
    found.retries = found.read("retries", begin, waiting.retries)
    found.stuck = found.read("stuck", begin, lambda c: snapshot.stuck(c, limit=ROWS, max_processing=longest))
    found.acts = found.read("acts", begin, lambda c: trail.recent(c, limit=ROWS))
    causes = found.read("causes", begin, lambda c: failed.groups(c, Selection()))
    if causes is not None:
        found.causes, found.causes_in_all = causes[:CAUSES], len(causes)
    return facts


def _sink(found: Overview, begin: "Begin", settings: "Settings") -> None:
    with closing(connect(settings, connections=1, timeout=PATIENCE)) as client:
        try:
            server = shaped(lambda: product(client)).identity
        except OutboxctlError as error:
            found.missing["sink"] = str(error)
            return
        found.product = f"{server.distribution} {server.number}".strip()
        if found.standing:
            try:
                found.drift = drift(begin, client, settings.elastic_index, SAMPLE)
            except OutboxctlError as error:
                found.missing["drift"] = str(error)

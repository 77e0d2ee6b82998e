"""The checks of each end, in their order; the settings, which must fit both, come last."""

from collections.abc import Callable, Collection
from contextlib import closing
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING

from outboxctl.core.database import Database
from outboxctl.core.documents.samples import DocumentSample, document_sample, source_versions
from outboxctl.core.inspect.projections import ProjectionFacts, projections
from outboxctl.core.inspect.rights import rights, search_path_facts
from outboxctl.core.inspect.server import (
    ServerFacts,
    read_only,
    read_or_refuse,
    server,
    servers,
    shares_sessions,
)
from outboxctl.core.inspect.standbys import synchronous_standbys
from outboxctl.core.inspect.tables import tables
from outboxctl.core.inspect.vacuum import holders, parts
from outboxctl.core.operator.rebuilds import interrupted_moves
from outboxctl.core.schema import marker, notify
from outboxctl.core.schema.notify import NotifyState
from outboxctl.domain.errors import UsageError
from outboxctl.operations.doctor.examination import WITHOUT_A_RULE, Examination, optional
from outboxctl.operations.doctor.formation_rules import FORMATION
from outboxctl.operations.doctor.lookups import (
    TRANSACTION_SECONDS,
    index_of,
    link_of,
    read_apart,
    search_index_named,
)
from outboxctl.operations.doctor.mapping_rules import INDEX
from outboxctl.operations.doctor.model import DoctorReport, End, FindingSeverity
from outboxctl.operations.doctor.path_rules import PATHS
from outboxctl.operations.doctor.projection_rules import INDEXES, PROJECTIONS
from outboxctl.operations.doctor.rebuild_rules import REBUILDS
from outboxctl.operations.doctor.server_rules import MARKER, NOTIFY, POOLER, SERVER, NotifyFacts
from outboxctl.operations.doctor.settings_rules import FIT, SETTINGS, Fit
from outboxctl.operations.doctor.sink_rules import CLUSTER, PRODUCT, SINK_RIGHTS, URLS
from outboxctl.operations.doctor.standby_rules import SERVERS, STANDBYS
from outboxctl.operations.doctor.table_rules import RIGHTS, TABLES
from outboxctl.operations.doctor.vacuum_rules import HOLDERS, LONGEST, PARTS
from outboxctl.settings import Settings
from outboxctl.sink.index.shared import leads_to
from outboxctl.sink.inspect.cluster import Cluster, cluster
from outboxctl.sink.inspect.cluster import rights as sink_rights
from outboxctl.sink.inspect.formation import formation
from outboxctl.sink.inspect.product import product, reach
from outboxctl.sink.transport.request import held, shaped

if TYPE_CHECKING:
    from outboxctl.sink.transport.client import Client

CHECKS = {
    End.DATABASE: (
        SERVERS,
        SERVER,
        STANDBYS,
        MARKER,
        TABLES,
        RIGHTS,
        PATHS,
        PARTS,
        HOLDERS,
        REBUILDS,
        PROJECTIONS,
        POOLER,
        NOTIFY,
    ),
    End.SINK: (URLS, PRODUCT, FORMATION, CLUSTER, SINK_RIGHTS, INDEX, INDEXES),
    End.SETTINGS: (SETTINGS, FIT),
}
REQUEST_SECONDS = 10.0


@dataclass
class Examiner:
    """Examines each end, and keeps what `together` needs of both (`now` is for tests)."""

    now: datetime | None = None
    server: ServerFacts | None = None
    sample: DocumentSample | None = None
    switch: NotifyState | None = None
    cluster: Cluster | None = None
    documents: dict[str, int] = field(default_factory=dict)
    projections: list[ProjectionFacts] = field(default_factory=list)

    def database(self, exam: Examination) -> None:
        """Examine PostgreSQL in one read-only transaction; the pooler is recognised outside of one."""
        try:
            db = Database(exam.settings.require_database_url(), connections=2, longest=TRANSACTION_SECONDS)
        except UsageError as error:
            exam.add("database-unusable", End.DATABASE, str(error), error.hint)
            return
        exam.check(End.DATABASE, SERVERS, lambda: servers(exam.settings.require_database_url()))
        with closing(db):
            self._in_transaction(exam, db)
            pooled = bool(exam.check(End.DATABASE, POOLER, lambda: shares_sessions(db)))
            if switch := self.switch:
                exam.check(End.DATABASE, NOTIFY, lambda: NotifyFacts(switch, pooled))

    def _in_transaction(self, exam: Examination, db: Database) -> None:
        with db.begin() as connection:
            read_only(connection)
            ask, check = partial(read_or_refuse, connection, db.name), partial(exam.check, End.DATABASE)
            self.server = check(SERVER, lambda: ask(server))
            check(STANDBYS, lambda: ask(synchronous_standbys))
            check(MARKER, lambda: ask(marker.read_if_any))
            schema = check(TABLES, lambda: ask(tables))
            check(RIGHTS, lambda: ask(rights))
            check(PATHS, lambda: ask(search_path_facts))
            check(PARTS, lambda: ask(parts))
            check(HOLDERS, lambda: ask(partial(holders, longest=LONGEST, now=self.now)))
            if schema and not schema.missing:
                if projected := check(PROJECTIONS, lambda: ask(projections)):
                    self.projections = projected.each
                check(REBUILDS, lambda: ask(interrupted_moves))
                self.sample = optional(lambda: ask(document_sample))
                self.switch = optional(lambda: ask(notify.status))

    def sink(self, exam: Examination) -> None:
        """Examine the cluster and the index; nothing more where another product or version answers."""
        try:
            reached = exam.check(End.SINK, URLS, lambda: reach(exam.settings, timeout=REQUEST_SECONDS))
        except UsageError as error:
            exam.add("client-unusable", End.SINK, str(error), error.hint)
            return
        if reached:
            with closing(reached.client) as client:
                self._by_requests(exam, client, list(reached.away))

    def _by_requests(self, exam: Examination, client: "Client", away: list[str]) -> None:
        name, check = exam.settings.elastic_index, partial(exam.check, End.SINK)
        check(PRODUCT, lambda: shaped(lambda: product(client)))
        urls = len(exam.settings.sink_urls)
        check(FORMATION, lambda: shaped(lambda: formation(client, away, urls=urls)))
        self.cluster = check(CLUSTER, lambda: shaped(lambda: cluster(client)))
        check(SINK_RIGHTS, lambda: shaped(lambda: sink_rights(client, name)))
        indexes = check(INDEX, lambda: search_index_named(exam.settings, client, self.cluster))
        names = {exam.settings.elastic_index, *(each.projection.index for each in self.projections)}
        behind = (optional(lambda: shaped(lambda: leads_to(client, names))) or {}) if self.projections else {}
        for each in self.projections:
            check(INDEXES, partial(index_of, client, each, behind))
        if indexes and indexes.writes_to and self.sample and self.sample.ids:
            writes_to, ids = indexes.writes_to.name, self.sample.ids
            self.documents = optional(lambda: shaped(lambda: held(client, writes_to, ids))) or {}

    def together(self, exam: Examination) -> None:
        """Examine the settings by themselves, and against what was read at both ends."""
        url = exam.settings.database_url
        exam.check(End.SETTINGS, SETTINGS, lambda: link_of(url.get_secret_value()) if url else None)
        if self.server or self.cluster:
            exam.check(End.SETTINGS, FIT, lambda: self._fit(exam))

    def _fit(self, exam: Examination) -> Fit:
        return Fit(
            self.server.connections_left if self.server else None,
            self.sample.document_bytes if self.sample else 0.0,
            self.cluster.request_limit if self.cluster else 0,
            self._ahead(exam) if self.documents else [],
            bool(self.switch and self.switch.on),
        )

    def _ahead(self, exam: Examination) -> list[str]:
        """Source rows are read after the documents: one that is written meanwhile is not behind."""
        rows = read_apart(exam.settings, lambda connection: source_versions(connection, list(self.documents)))
        return sorted(id_ for id_, version in self.documents.items() if version > rows.get(id_, version))


def examine(
    settings: Settings,
    *,
    only: Collection[End] = (),
    ignored: Collection[str] = (),
    say: Callable[[str], None] = lambda _: None,
    now: datetime | None = None,
) -> DoctorReport:
    """Examine the ends named in `only` (all of them if empty), leaving out findings by id; changes nothing.

    An unreachable end is a finding, and the others are examined all the same.
    Raises UsageError only where DATABASE_URL is not set and the database is to be examined.
    """
    examiner, exam = Examiner(now), Examination(settings, ignored, say)
    checks = {End.DATABASE: examiner.database, End.SINK: examiner.sink, End.SETTINGS: examiner.together}
    if not only or End.DATABASE in only:
        settings.require_database_url()
    for end, check in checks.items():
        if not only or end in only:
            exam.end(end, check)
    return exam.report()


def catalogue() -> dict[str, tuple[str, FindingSeverity, str]]:
    """Every id that a finding can have: its end (or `any`), severity, and why it matters."""
    return {
        id_: (id_.partition("-")[0] if id_.startswith(tuple(End)) else "any", severity, why)
        for id_, (severity, why) in WITHOUT_A_RULE.items()
    } | {
        rule.id: (str(end), rule.severity, rule.why)
        for end, checks in CHECKS.items()
        for check in checks
        for rule in check.rules
    }

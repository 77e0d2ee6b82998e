"""The checks of each end, in their order."""

from collections.abc import Callable, Collection
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

from outboxctl.core.database import Connection, Database
from outboxctl.core.documents.samples import document_ids
from outboxctl.core.inspect.projections import ProjectionFacts, projections
from outboxctl.core.inspect.rights import rights
from outboxctl.core.inspect.server import read_only, read_or_refuse, server
from outboxctl.core.inspect.tables import tables
from outboxctl.core.operator.rebuilds import interrupted_moves
from outboxctl.core.projections.indexes import Unindexed
from outboxctl.core.schema import marker, notify
from outboxctl.domain.errors import UsageError
from outboxctl.domain.projection import Projection
from outboxctl.operations.doctor.examination import WITHOUT_A_RULE, Examination, optional
from outboxctl.operations.doctor.formation_rules import FORMATION
from outboxctl.operations.doctor.index_rules import AHEAD, ExaminedIndex
from outboxctl.operations.doctor.lookups import (
    TRANSACTION_SECONDS,
    ahead,
    link_of,
    projected,
    search_index,
)
from outboxctl.operations.doctor.mapping_rules import INDEX
from outboxctl.operations.doctor.model import DoctorReport, End, FindingSeverity
from outboxctl.operations.doctor.projection_rules import LOOKUPS, PROJECTIONS, REBUILDS
from outboxctl.operations.doctor.server_rules import MARKER, NOTIFY, SERVER
from outboxctl.operations.doctor.settings_rules import SETTINGS
from outboxctl.operations.doctor.sink_rules import CLUSTER, PRODUCT, SINK_RIGHTS, URLS
from outboxctl.operations.doctor.table_rules import RIGHTS, TABLES
from outboxctl.settings import Settings
from outboxctl.sink.inspect.cluster import cluster
from outboxctl.sink.inspect.cluster import rights as sink_rights
from outboxctl.sink.inspect.formation import formation
from outboxctl.sink.inspect.product import product, reach
from outboxctl.sink.transport.request import shaped

if TYPE_CHECKING:
    from outboxctl.sink.transport.client import Client

CHECKS = {
    End.DATABASE: (SERVER, MARKER, TABLES, RIGHTS, PROJECTIONS, LOOKUPS, REBUILDS, NOTIFY),
    End.SINK: (URLS, PRODUCT, FORMATION, CLUSTER, SINK_RIGHTS, INDEX, AHEAD),
    End.SETTINGS: (SETTINGS,),
}
REQUEST_SECONDS = 10.0


@dataclass
class Examiner:
    """Examines each end, the database first: what it says of documents is compared with the sink."""

    sample: list[str] = field(default_factory=list)
    projections: list[ProjectionFacts] = field(default_factory=list)

    def database(self, exam: Examination) -> None:
        """Examine PostgreSQL in one read-only transaction."""
        try:
            db = Database(exam.settings.require_database_url(), connections=1, longest=TRANSACTION_SECONDS)
        except UsageError as error:
            exam.add("database-unusable", End.DATABASE, str(error), error.hint)
            return
        with closing(db), db.begin() as connection:
            read_only(connection)
            ask, check = partial(read_or_refuse, connection, db.name), partial(exam.check, End.DATABASE)
            check(SERVER, lambda: ask(server))
            check(MARKER, lambda: ask(marker.read_if_any))
            schema = check(TABLES, lambda: ask(tables))
            check(RIGHTS, lambda: ask(rights))
            if schema and not schema.missing:
                if declared := check(PROJECTIONS, lambda: ask(projections)):
                    self.projections = declared.each
                    if readable := [each.projection for each in declared.each if each.readable]:
                        check(LOOKUPS, lambda: ask(partial(_unindexed, readable)))
                check(REBUILDS, lambda: ask(interrupted_moves))
                check(NOTIFY, lambda: ask(notify.status))
                self.sample = optional(lambda: ask(document_ids)) or []

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
        check = partial(exam.check, End.SINK)
        check(PRODUCT, lambda: shaped(lambda: product(client)))
        urls = len(exam.settings.sink_urls)
        check(FORMATION, lambda: shaped(lambda: formation(client, away, urls=urls)))
        check(CLUSTER, lambda: shaped(lambda: cluster(client)))
        check(SINK_RIGHTS, lambda: shaped(lambda: sink_rights(client, exam.settings.elastic_index)))
        built_in = check(INDEX, lambda: search_index(exam.settings, client))
        if built_in and (index := built_in.writes_to) and self.sample:
            check(AHEAD, lambda: ahead(exam.settings, client, index.name, self.sample))
        self._projected(exam, client, built_in)

    def _projected(self, exam: Examination, client: "Client", built_in: ExaminedIndex | None) -> None:
        """Examine the indexes of declared projections by the same rules."""
        known = [built_in] if built_in else []
        for each in self.projections:
            ask = partial(sink_rights, client, each.projection.index, projected=True)
            exam.check(End.SINK, SINK_RIGHTS, partial(shaped, ask))
            if found := exam.check(End.SINK, INDEX, partial(projected, client, each, known)):
                known = [*known, found]


def _unindexed(projections: list[Projection], connection: Connection) -> list[Unindexed]:
    from outboxctl.operations.projection.lookups import unindexed  # noqa: PLC0415 - slow to load

    return [unindexed(connection, each) for each in projections]


def _settings(exam: Examination) -> None:
    url = exam.settings.database_url
    exam.check(End.SETTINGS, SETTINGS, lambda: link_of(url.get_secret_value()) if url else None)


def examine(
    settings: Settings,
    *,
    only: Collection[End] = (),
    ignored: Collection[str] = (),
    say: Callable[[str], None] = lambda _: None,
) -> DoctorReport:
    """Examine the ends named in `only` (all of them if empty), leaving out findings by id; changes nothing.

    An unreachable end is a finding, and the others are examined all the same.
    Raises UsageError only where DATABASE_URL is not set and the database is to be examined.
    """
    examiner, exam = Examiner(), Examination(settings, ignored, say)
    checks = {End.DATABASE: examiner.database, End.SINK: examiner.sink, End.SETTINGS: _settings}
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

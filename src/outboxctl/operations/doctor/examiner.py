"""What is asked of each end, and in which order; what both must fit comes last."""

from contextlib import closing
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING

from outboxctl.core.database import Database
from outboxctl.core.inspect.link import Link, link, shares_sessions
from outboxctl.core.inspect.paths import paths
from outboxctl.core.inspect.reading import read_only, read_or_refuse
from outboxctl.core.inspect.rights import rights
from outboxctl.core.inspect.sample import DocumentSample, sample, versions
from outboxctl.core.inspect.server import ServerFacts, marked, server
from outboxctl.core.inspect.tables import tables
from outboxctl.core.inspect.vacuum import holders, parts
from outboxctl.core.schema import notify
from outboxctl.core.schema.notify import Switch
from outboxctl.domain.errors import UsageError
from outboxctl.operations.doctor.examination import Examination, optional
from outboxctl.operations.doctor.fit_rules import FIT, SETTINGS, Fit
from outboxctl.operations.doctor.mapping_rules import INDEX
from outboxctl.operations.doctor.model import End
from outboxctl.operations.doctor.notify_rules import NOTIFY, Hearing
from outboxctl.operations.doctor.path_rules import PATHS
from outboxctl.operations.doctor.server_rules import MARKER, POOLER, SERVER
from outboxctl.operations.doctor.sink_rules import CLUSTER, PRODUCT, SINK_RIGHTS, URLS
from outboxctl.operations.doctor.table_rules import RIGHTS, TABLES
from outboxctl.operations.doctor.vacuum_rules import HOLDERS, LONGEST, PARTS
from outboxctl.sink.inspect.cluster import Cluster, cluster
from outboxctl.sink.inspect.cluster import rights as sink_rights
from outboxctl.sink.inspect.indices import named
from outboxctl.sink.inspect.product import product, reach
from outboxctl.sink.transport.request import held, shaped

if TYPE_CHECKING:
    from outboxctl.sink.transport.client import Client

CHECKS = {
    End.DATABASE: (SERVER, MARKER, TABLES, RIGHTS, PATHS, PARTS, HOLDERS, POOLER, NOTIFY),
    End.SINK: (URLS, PRODUCT, CLUSTER, SINK_RIGHTS, INDEX),
    End.SETTINGS: (SETTINGS, FIT),
}
TRANSACTION_SECONDS = 60.0  # longer than all questions together: against a server that falls silent
REQUEST_SECONDS = 10.0


@dataclass
class Examiner:
    """Examines each end; what is learned on the way (`now` is for tests) serves the fit in the end."""

    now: datetime | None = None
    server: ServerFacts | None = None
    sample: DocumentSample | None = None
    switch: Switch | None = None
    cluster: Cluster | None = None
    documents: dict[str, int] = field(default_factory=dict)

    def database(self, exam: Examination) -> None:
        """PostgreSQL, in one read-only transaction; the pooler is recognised outside of one."""
        try:
            db = Database(exam.settings.require_database_url(), connections=2, longest=TRANSACTION_SECONDS)
        except UsageError as error:
            exam.aside("database-unusable", End.DATABASE, str(error), error.hint)
            return
        try:
            self._questions(exam, db)
            pooled = bool(exam.check(End.DATABASE, POOLER, lambda: shares_sessions(db)))
            if switch := self.switch:
                exam.check(End.DATABASE, NOTIFY, lambda: Hearing(switch, pooled))
        finally:
            db.close()

    def _questions(self, exam: Examination, db: Database) -> None:
        with db.begin() as connection:
            read_only(connection)
            ask, check = partial(read_or_refuse, connection, db.name), partial(exam.check, End.DATABASE)
            self.server = check(SERVER, lambda: ask(server))
            check(MARKER, lambda: ask(marked))
            schema = check(TABLES, lambda: ask(tables))
            check(RIGHTS, lambda: ask(rights))
            check(PATHS, lambda: ask(paths))
            check(PARTS, lambda: ask(parts))
            check(HOLDERS, lambda: ask(partial(holders, longest=LONGEST, now=self.now)))
            if schema and not schema.missing:
                self.sample = optional(lambda: ask(sample))
                self.switch = optional(lambda: ask(notify.status))

    def sink(self, exam: Examination) -> None:
        """The cluster and the index; nothing more where another product or version answers."""
        try:
            reached = exam.check(End.SINK, URLS, lambda: reach(exam.settings, timeout=REQUEST_SECONDS))
        except UsageError as error:
            exam.aside("client-unusable", End.SINK, str(error), error.hint)
            return
        if reached:
            with closing(reached.client) as client:
                self._requests(exam, client)

    def _requests(self, exam: Examination, client: "Client") -> None:
        name, check = exam.settings.elastic_index, partial(exam.check, End.SINK)
        check(PRODUCT, lambda: shaped(lambda: product(client)))
        self.cluster = check(CLUSTER, lambda: shaped(lambda: cluster(client)))
        check(SINK_RIGHTS, lambda: shaped(lambda: sink_rights(client, name)))
        found = check(INDEX, lambda: shaped(lambda: named(client, name)))
        if found and found.writes_to and self.sample and self.sample.ids:
            writes_to, ids = found.writes_to.name, self.sample.ids
            self.documents = optional(lambda: shaped(lambda: held(client, writes_to, ids))) or {}

    def together(self, exam: Examination) -> None:
        """The settings among themselves and against what was learned of both ends."""
        url = exam.settings.database_url
        exam.check(End.SETTINGS, SETTINGS, lambda: _link(url.get_secret_value()) if url else None)
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
        """Source rows are read after the documents: one that moved on meanwhile is not behind."""
        db = Database(exam.settings.require_database_url(), connections=1, longest=TRANSACTION_SECONDS)
        try:
            with db.begin() as connection:
                read_only(connection)
                rows = read_or_refuse(connection, db.name, lambda c: versions(c, list(self.documents)))
        finally:
            db.close()
        return sorted(id_ for id_, version in self.documents.items() if version > rows.get(id_, version))


def _link(url: str) -> Link | None:
    """None for a URL that libpq cannot read: the database's examination says so."""
    try:
        return link(url)
    except UsageError:
        return None

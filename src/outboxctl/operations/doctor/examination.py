"""The checks of each end, in their order: what cannot be read becomes a finding, and the rest goes on."""

from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from typing import TypeVar

from outboxctl.core.database import Connection, Database
from outboxctl.core.inspect.projections import declared_columns, projections
from outboxctl.core.inspect.rights import rights
from outboxctl.core.inspect.server import connection_link, read_only, read_or_refuse, server
from outboxctl.core.inspect.tables import tables
from outboxctl.core.operator.rebuilds import interrupted_moves
from outboxctl.core.projections import in_force
from outboxctl.core.projections.fields import Field
from outboxctl.core.projections.indexes import MissingIndex
from outboxctl.core.schema import marker
from outboxctl.core.sql.kept import keeping
from outboxctl.domain.errors import (
    OutboxctlError,
    RefusedError,
    UnreachableError,
    UntrustedError,
    UsageError,
)
from outboxctl.domain.printable import brief
from outboxctl.domain.projection import Projection, built_in, disjoint
from outboxctl.net.urls import local, parse_url
from outboxctl.operations.doctor.database_rules import MARKER, RIGHTS, SERVER, TABLES
from outboxctl.operations.doctor.index_rules import ExaminedIndex
from outboxctl.operations.doctor.mapping_rules import INDEX
from outboxctl.operations.doctor.model import (
    ERROR,
    INFO,
    DoctorReport,
    End,
    Finding,
    FindingSeverity,
    RuleGroup,
)
from outboxctl.operations.doctor.projection_rules import LOOKUPS, PROJECTIONS, REBUILDS
from outboxctl.operations.doctor.remedies import reaching, request
from outboxctl.operations.doctor.settings_rules import SETTINGS
from outboxctl.operations.doctor.sink_rules import FORMATION, PRODUCT, SINK_RIGHTS, URLS
from outboxctl.operations.projection.known import search_index_unused
from outboxctl.operations.projection.parts import there
from outboxctl.settings import Settings
from outboxctl.sink.engines import DENSE
from outboxctl.sink.index.named import look
from outboxctl.sink.inspect.cluster import IndexHealth, formation, health
from outboxctl.sink.inspect.cluster import rights as sink_rights
from outboxctl.sink.inspect.product import product, reach, vectors
from outboxctl.sink.transport.client import Client
from outboxctl.sink.transport.request import DeniedError, shaped

Fact = TypeVar("Fact")
Item = TypeVar("Item")
CHECKS = {
    End.DATABASE: (SERVER, MARKER, TABLES, RIGHTS, PROJECTIONS, LOOKUPS, REBUILDS),
    End.SINK: (URLS, PRODUCT, FORMATION, SINK_RIGHTS, INDEX),
    End.SETTINGS: (SETTINGS,),
}
LOGIN = "export ELASTIC_API_KEY=…  # or ELASTIC_USERNAME and ELASTIC_PASSWORD"
SIGNED = "aws sts get-caller-identity  # who signs; docs/deploy/aws.md: what it must be allowed"
WHO = request("GET", "_cluster/health") + "  # at the host of ELASTIC_URL: the engine, or a proxy before it?"
REQUEST_SECONDS = 10.0
UNREAD = "The indexes of declared projections could not be examined"
WAITS = "the server answers, and not this: look for a node that hangs"
PART = 20  # projections that are examined in one transaction
TRANSACTION_SECONDS = 60.0  # longer than all checks together take: a server may stop answering
# Findings that no rule makes: what could not be examined. By id: severity, and why it matters.
WITHOUT_A_RULE = {
    "database-unreachable": (ERROR, "No worker can claim; applications cannot write events either."),
    "sink-unreachable": (ERROR, "No delivery succeeds; events wait, or fail once their attempts are spent."),
    "database-tls": (ERROR, "No connection is trusted by both sides, so no worker can claim."),
    "sink-tls": (ERROR, "No connection is trusted by both sides, so nothing is delivered."),
    "sink-refuses": (ERROR, "It answers, but not this user or key: every delivery ends in auth."),
    "sink-not-ready": (ERROR, "It, or a proxy before it, is not ready: nothing is delivered, events wait."),
    "client-unusable": (ERROR, "No client can be made of these settings: a worker ends with exit 2."),
    "database-unusable": (ERROR, "No connection can be made by these settings: a worker ends with exit 2."),
    "not-examined": (INFO, "What it would have found, it did not."),
}


class StopError(Exception):
    """No further check of this end makes sense."""


@dataclass
class Examination:
    """Collects findings; `say` is called with the name of each check as it begins.

    The indexes of the `declared` projections, each with its columns (None: not read yet), are examined in
    the sink; the built-in one may be `unused`. `answers` raises where an end that left a request unanswered
    answers no other one either; None: one is enough to say so.
    """

    settings: Settings
    say: Callable[[str], None]
    findings: list[Finding] = field(default_factory=list)
    examined: list[str] = field(default_factory=list)
    unreachable: bool = False
    declared: Sequence[tuple[Projection, Sequence[Field]]] | None = None
    unused: bool = False
    answers: Callable[[], object] | None = None

    def check(self, end: End, check: RuleGroup, read: Callable[[], Fact]) -> Fact | None:
        """Read the fact and apply the check's rules; returns it, None where it could not be read."""
        self.say(f"{end}: {check.name}")
        try:
            fact = shaped(read) if end is End.SINK else read()
        except RefusedError as error:
            if check.vital and not check.spared:
                self._refused(end, error)
                raise StopError from None
            self._not_examined(end, check, error, "use a role that may read it, or --ignore not-examined")
            return None
        except UnreachableError as error:
            if not self.answers:
                raise
            self.answers()
            self._not_examined(end, check, error, f"{WAITS}, or --ignore not-examined")
            return None
        self.examined.append(f"{end}: {check.name}")
        findings = [f for rule in check.rules for f in rule.findings(end, fact, self.settings)]
        said = {(each.id, each.what) for each in self.findings}  # of an index that several projections have
        self.findings += [each for each in findings if (each.id, each.what) not in said]
        if check.vital and any(finding.severity is ERROR for finding in findings):
            raise StopError
        return fact

    def _refused(self, end: End, error: RefusedError) -> None:
        id_, mend = "sink-not-ready", reaching(WHO, self.settings)
        if isinstance(error, DeniedError):
            id_, mend = "sink-refuses", SIGNED if self.settings.aws_service else LOGIN
        self.add(id_, end, str(error), mend)

    def _not_examined(self, end: End, check: RuleGroup, error: OutboxctlError, mend: str) -> None:
        self.add("not-examined", end, f"{check.name.capitalize()} could not be examined: {error}", mend)

    def end(self, end: End, examine: "Callable[[Examination], None]") -> None:
        """Examine one end as far as it goes."""
        try:
            examine(self)
        except StopError:
            pass
        except UntrustedError as error:
            self.unreachable = True
            self.add(f"{end}-tls", end, str(error), error.hint)
        except UnreachableError as error:
            self.unreachable = True
            self.add(f"{end}-unreachable", end, str(error), _where_to_look(end, self.settings))

    def add(self, id_: str, end: End, what: str, mend: str) -> None:
        """Add a finding that no rule makes."""
        severity, why = WITHOUT_A_RULE[id_]
        self.findings.append(Finding(id_, end, severity, brief(what), why, brief(mend)))


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
    exam = Examination(settings, say)
    if not only or End.DATABASE in only:
        settings.require_database_url()
    for end, check in {End.DATABASE: _database, End.SINK: _sink, End.SETTINGS: _settings}.items():
        if not only or end in only:
            exam.end(end, check)
    kept = [finding for finding in exam.findings if finding.id not in ignored]
    return DoctorReport(kept, exam.examined, exam.unreachable)


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


def _open(settings: Settings, longest: float = TRANSACTION_SECONDS) -> Database:
    return Database(settings.require_database_url(), connections=1, longest=longest)


@contextmanager
def _asking(db: Database) -> Iterator[Callable[[Callable[[Connection], Fact]], Fact]]:
    """What reads facts in one read-only transaction."""
    with closing(db), db.begin() as connection:
        read_only(connection)
        yield partial(read_or_refuse, connection, db.name)


def _database(exam: Examination) -> None:
    """Examine PostgreSQL."""
    exam.declared = []
    try:
        db = _open(exam.settings)
    except UsageError as error:
        exam.add("database-unusable", End.DATABASE, str(error), error.hint)
        return
    with _asking(db) as ask:
        check = partial(exam.check, End.DATABASE)
        check(SERVER, lambda: ask(server))
        check(MARKER, lambda: ask(marker.read))
        schema = check(TABLES, lambda: ask(tables))
        check(RIGHTS, lambda: ask(rights))
        if not schema or schema.missing:
            return
        names = ask(in_force.names)
    # In transactions of their own: of hundreds of projections all takes minutes, and many locks.
    own = partial(_in_parts, exam.settings)
    if declared := check(PROJECTIONS, lambda: own(names, projections)):
        exam.declared = [(each.projection, each.columns) for each in declared]
        with _asking(_open(exam.settings)) as ask:
            exam.unused = ask(search_index_unused)
        if readable := [each.projection for each in declared if each.readable and not each.lacks]:
            check(LOOKUPS, lambda: own(readable, _unindexed))
    with _asking(_open(exam.settings)) as ask:
        check(REBUILDS, lambda: ask(interrupted_moves))


def _in_parts(
    settings: Settings, items: Sequence[Item], read: Callable[[Connection, Sequence[Item]], list[Fact]]
) -> list[Fact]:
    """What is known of these, read of PART in a transaction."""
    found = list[Fact]()
    for part in (items[start : start + PART] for start in range(0, len(items), PART)):
        with _asking(_open(settings)) as ask:
            found += ask(lambda connection, part=part: read(connection, part))  # type: ignore[misc]
    return found


def _unindexed(connection: Connection, projections: Sequence[Projection]) -> list[tuple[str, MissingIndex]]:
    from outboxctl.operations.projection.notices import unindexed  # noqa: PLC0415 - slow to load

    with keeping(connection):
        return [(each.name, missing) for each in projections for missing in unindexed(connection, each)]


def _sink(exam: Examination) -> None:
    """Examine the cluster and the indexes; nothing more where another product or version answers."""
    try:
        reached = exam.check(End.SINK, URLS, lambda: reach(exam.settings, timeout=REQUEST_SECONDS))
    except UsageError as error:
        exam.add("client-unusable", End.SINK, str(error), error.hint)
        return
    if reached:
        with closing(reached.client) as client:
            _by_requests(exam, client, list(reached.away))


def _by_requests(exam: Examination, client: Client, away: list[str]) -> None:
    check, settings = partial(exam.check, End.SINK), exam.settings
    check(PRODUCT, lambda: product(client))
    exam.answers = lambda: product(client)
    if client.engine.lists:
        check(FORMATION, lambda: formation(client, away, urls=len(settings.sink_urls)))
    known: list[ExaminedIndex] = []
    for projection, columns in _parts(client, _indexed(exam, client)):
        name = projection.index
        check(SINK_RIGHTS, partial(sink_rights, client, name, projected=bool(projection.name)))
        if found := check(INDEX, partial(_index, client, projection, columns, known)):
            known = [*known, found]


def _indexed(exam: Examination, client: Client) -> Sequence[tuple[Projection, Sequence[Field]]]:
    """The projections in force with their columns; the built-in one where it is used, or has an index."""
    if exam.declared is None and exam.settings.database_url:  # it was not to be examined
        exam.say(f"{End.SINK}: declared projections")
        try:
            with _asking(_open(exam.settings, longest=REQUEST_SECONDS)) as ask:
                exam.declared, exam.unused = ask(declared_columns), ask(search_index_unused)
        except OutboxctlError as error:
            exam.add("not-examined", End.SINK, f"{UNREAD}: {error}", "outboxctl doctor --only database")
    name, found = exam.settings.elastic_index, not exam.unused
    with suppress(OutboxctlError):
        found = found or bool(shaped(lambda: look(client, name)).indexes)
    first: list[tuple[Projection, Sequence[Field]]] = [(built_in(name), [])] if found else []
    return [*first, *(exam.declared or ())]


def _parts(
    client: Client, declared: Sequence[tuple[Projection, Sequence[Field]]]
) -> Iterator[tuple[Projection, Sequence[Field]]]:
    """Those of one index each; of a projection of several those that are there, and the login may see."""
    for projection, columns in declared:
        with suppress(RefusedError):
            yield from ((part, columns) for part in there(client, projection))


def _index(
    client: Client, projection: Projection, columns: Sequence[Field], others: list[ExaminedIndex]
) -> ExaminedIndex:
    """The index of a projection, and what it shares with the `others`."""
    found = look(client, projection.index)
    examined = found.indexes and client.engine.lists
    healthy = health(client, found.name) if examined else IndexHealth("green" if found.indexes else "red")
    mine = {each.name for each in found.indexes}
    shared = [
        (other.projection.label, index.name)
        for other in others
        if other.named.name != found.name or not disjoint(other.projection.id_prefix, projection.id_prefix)
        for index in other.named.indexes
        if index.name in mine
    ]
    engine = vectors(client) if projection.vectors else DENSE
    return ExaminedIndex(found, healthy, projection, columns, shared, engine)


def _settings(exam: Examination) -> None:
    """Examine the settings; the rules of a URL that libpq cannot read are left to the database's end."""
    url, link = exam.settings.database_url, None
    with suppress(UsageError):
        link = connection_link(url.get_secret_value()) if url else None
    exam.check(End.SETTINGS, SETTINGS, lambda: link)


def _where_to_look(end: End, settings: Settings) -> str:
    """Where to look first: only one server on this machine can be one of `outboxctl services`."""
    urls = [parse_url(url) for url in settings.sink_urls]
    if end is End.SINK and not (len(urls) == 1 and local(urls[0].hostname or "")):
        way = "at each node: does it run, does a firewall let this machine through?"
        return reaching(f"{request('GET', '_cluster/health?local=true')}  # {way}", settings)
    return "outboxctl services status  # yours elsewhere: that the server runs, and the URL"

"""The least role of every command at each end, what it is run with, and what it must have done then.

`docs/operators-desk/roles.md` has the same roles in a table; `test_least_roles.py` holds them equal.
"""

import uuid
from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import StrEnum
from itertools import groupby


class Login(StrEnum):
    """Who logs in to PostgreSQL."""

    NONE = "no login"
    STRANGER = "a login in no role"
    VIEWER = "viewer"
    WORKER = "worker"
    OPERATOR = "operator"
    CREATOR = "viewer with `CREATE` on the database"
    OWNER = "owner of the tables"


# Who can do less, and must be refused.
LOWER = {
    Login.VIEWER: Login.STRANGER,
    Login.WORKER: Login.VIEWER,
    Login.OPERATOR: Login.VIEWER,
    Login.CREATOR: Login.VIEWER,
    Login.OWNER: Login.OPERATOR,
}
FAILED, PENDING, ACT = (uuid.UUID(int=number) for number in (0xFA11ED, 0xBE, 0xAC7))
WHO = ("--by", "alice", "--reason", "why")
OWN = "tests/security/test_least_roles.py::"
PROJECTIONS = "tests/projections/test_projection_roles.py::"


@dataclass(frozen=True)
class Case:
    """One command: `login` and `sink` are the least roles.

    It has done its task if it ends with one of `codes`, prints `shows`, and `did`, in SQL, has become true.
    Before it the owner runs `first`, and `given` is run in SQL. `by`: the test that runs it, where it needs
    one of its own.
    """

    login: Login
    sink: str = ""
    args: tuple[str, ...] = ()
    shows: str = ""
    did: str = ""
    codes: tuple[int, ...] = (0,)
    first: tuple[str, ...] = ()
    given: str = ""
    by: str = ""


def reads(shows: str, *args: str, sink: str = "", codes: tuple[int, ...] = (0,)) -> Case:
    """For a viewer."""
    return Case(Login.VIEWER, sink, args, shows, codes=codes)


def alone(shows: str, *args: str) -> Case:
    """Without a database and without a sink."""
    return Case(Login.NONE, "", args, shows)


def acts(did: str, *args: str, sink: str = "") -> Case:
    """For an operator."""
    return Case(Login.OPERATOR, sink, args, did=did)


def owns(did: str, *args: str, first: tuple[str, ...] = ()) -> Case:
    """For the owner of the tables."""
    return Case(Login.OWNER, "", args, did=did, first=first)


def _event(is_now: str, of: uuid.UUID) -> str:
    return f"SELECT status = '{is_now}' FROM search_outbox_events WHERE id = '{of}'"


def _audited(action: str) -> str:
    return f"SELECT count(*) = 1 FROM outbox_operator_audit WHERE action LIKE '{action}%'"


ADDED = "SELECT count(*) > 4 FROM search_outbox_events"
NOTIFIES = "SELECT count(*) = {} FROM pg_trigger WHERE tgname = 'outbox_notify'"
OLD = ("db", "downgrade", "0008", "--yes")  # to a revision whose tables lack this column
COLUMN = """SELECT count(*) = {} FROM pg_attribute
    WHERE attrelid = 'search_outbox_events'::regclass AND attname = 'entity_key'"""
SETTLED = "UPDATE search_outbox_events SET status = 'done', processed_at = '2020-01-01'"
OLDER_THAN = ("--older-than", "1d")
MARKED = "SELECT environment = 'dev' FROM outbox_environment"
CASES = {
    "alerts rules": alone("groups:"),
    "explain": alone("index_unavailable"),
    "audit": reads("bob"),
    "bench": Case(Login.CREATOR, "operator", by=f"{OWN}test_a_guest_needs_to_create_a_schema"),
    "bench --own": replace(
        alone(""),
        by="tests/drills/bench/test_bench.py::test_servers_of_its_own_are_measured_searched_and_gone",
    ),
    "chaos block": Case(Login.NONE, "operator", by=f"{OWN}test_an_index_is_blocked_without_a_login"),
    "chaos db terminate": Case(Login.WORKER, by=f"{OWN}test_a_login_ends_its_own_sessions_alone"),
    **{
        f"chaos es {verb}": replace(alone(""), by=f"{OWN}test_the_sink_is_struck_without_a_login")
        for verb in ("pause", "resume", "start", "stop")
    },
    "chaos list": alone("no faults"),
    "chaos proxy": alone("export ELASTIC_URL=", "--port", "0", "--for", "0.2s"),
    "chaos unblock": Case(Login.NONE, "operator", by=f"{OWN}test_an_index_is_blocked_without_a_login"),
    "chaos undo": alone("nothing to undo", "--all"),
    **{
        f"chaos worker {verb}": Case(Login.VIEWER, by=f"{OWN}test_a_viewer_finds_the_workers_of_this_machine")
        for verb in ("kill", "pause", "resume")
    },
    "check": reads("lag=2", codes=(4,)),
    "check --drift-sample": reads("lag=2", "5", sink="viewer", codes=(4,)),
    "config show": alone("OUTBOX_BULK_SIZE"),
    "db check": reads("the newest"),
    "db current": reads("0"),
    "db downgrade": owns(COLUMN.format(0), "0008", "--yes"),
    "db downgrade --dry-run": reads("search_outbox_events.entity_key", "0008"),
    "db mark": owns(MARKED, "dev", *WHO),
    "db mark --dry-run": reads("dev", "dev", *WHO),
    "db notify off": owns(NOTIFIES.format(0), first=("db", "notify", "on")),
    "db notify on": owns(NOTIFIES.format(1)),
    "db notify status": reads("do not notify"),
    "db roles": alone("CREATE ROLE", "--sql"),
    "db sql": alone("CREATE TABLE"),
    "db trigger": alone("CREATE OR REPLACE TRIGGER", "--type-column", "entity_type"),
    "db upgrade": owns(COLUMN.format(1), first=OLD),
    "demo": replace(
        alone(""), by="tests/drills/demo/test_demo.py::test_every_count_agrees_and_nothing_is_left"
    ),
    "doctor": Case(Login.VIEWER, "viewer", by=f"{OWN}test_the_doctor_lacks_nothing_as_a_viewer"),
    "failed discard": acts(_event("done", FAILED), *WHO, "--limit", "1"),
    "failed discard --dry-run": reads(str(FAILED), *WHO, "--limit", "1"),
    "failed list": reads("mapping"),
    "failed show": reads(str(FAILED), str(FAILED), sink="viewer"),
    "inject bad-op": acts(ADDED),
    "inject duplicate": owns(ADDED),
    "inject event": acts(ADDED),
    "inject load": owns(ADDED, "--count", "1", "--rate", "0"),
    "inject oversized": owns(ADDED, "--bytes", "100"),
    "inject poison": owns(ADDED),
    "inject stale": owns(ADDED),
    "lab list": alone("bad-op"),
    "lab report": replace(alone(""), by=f"{OWN}test_a_report_is_read_without_a_login"),
    "lab run": replace(alone(""), by="tests/drills/labs/test_all_labs.py::test_with_our_worker_it_is_ok"),
    "lab run --against": Case(Login.CREATOR, "operator", by=f"{OWN}test_a_guest_needs_to_create_a_schema"),
    "lab show": alone("bad-op", "bad-op"),
    "oldest": reads(str(PENDING)),
    "projection apply": Case(Login.OWNER, "operator", by=f"{PROJECTIONS}test_the_owner_applies_and_drops"),
    "projection drop": Case(Login.OWNER, by=f"{PROJECTIONS}test_the_owner_applies_and_drops"),
    "projection list": reads("no projection"),
    "projection init": Case(Login.VIEWER, by=f"{PROJECTIONS}test_a_viewer_may_look"),
    "projection plan": Case(Login.VIEWER, "viewer", by=f"{PROJECTIONS}test_a_viewer_may_look"),
    "projection preview": Case(Login.VIEWER, "viewer", by=f"{PROJECTIONS}test_a_viewer_may_look"),
    "projection show": Case(Login.VIEWER, by=f"{PROJECTIONS}test_a_viewer_may_look"),
    "projection sql": Case(Login.VIEWER, by=f"{PROJECTIONS}test_a_viewer_may_look"),
    "prune": acts("SELECT count(*) = 3 FROM search_outbox_events", *OLDER_THAN),
    "prune --dry-run": reads("1", *OLDER_THAN),
    "rebuild": acts(_audited("rebuild"), *WHO, "--yes", sink="operator"),
    "rebuild --dry-run": reads("000002", *WHO, sink="viewer"),
    "rebuild --status": reads("none"),
    "replay": acts(_event("pending", FAILED), *WHO),
    "replay --dry-run": reads(str(FAILED), *WHO),
    "replay undo": acts(_event("failed", PENDING), str(ACT), *WHO),
    "report": reads("<html", sink="viewer"),
    "services down": alone("nothing was running"),
    "services status": alone("no services"),
    "services up": replace(
        alone(""),
        by="tests/drills/services/test_up_command.py::test_its_urls_are_taken_by_psql_and_both_indexes_are_there",
    ),
    "sink roles": alone("view_index_metadata"),
    "status": reads(str(PENDING)),
    "stuck": reads("upsert"),
    "top": Case(Login.VIEWER, by=f"{OWN}test_a_viewer_has_the_full_screen"),
    "verify": reads("in flight", sink="viewer"),
    "verify --repair": replace(acts(ADDED, *WHO, sink="operator"), given=SETTLED),
    "worker": Case(Login.WORKER, "worker", ("--drain",), did=_event("done", PENDING)),
}


def table() -> Iterator[str]:
    """The rows of the page's table: who, and which commands."""

    def key(path: str) -> tuple[int, str]:
        return list(Login).index(CASES[path].login), CASES[path].sink

    for _, paths in groupby(sorted(sorted(CASES), key=key), key):
        listed = list(paths)
        case = CASES[listed[0]]
        yield f"| {case.login} | {case.sink or '-'} | {', '.join(f'`{path}`' for path in listed)} |"

"""The way back: what it takes is said first, exactly, and nobody is at work meanwhile."""

from uuid import uuid4

import psycopg
import pytest

import outboxctl
from core.upgrade.back import go_back
from outboxctl.core.database import Database
from outboxctl.core.schema.downgrade import apply, plan
from outboxctl.core.schema.migrations import _describe, current, upgrade
from outboxctl.domain.errors import InconclusiveError, UsageError
from processes import Cli

TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
HEAD = "0012"
OF_TABLES = {"setting search_outbox_events", "setting outbox_operator_audit"}
BEAT = (
    "INSERT INTO outbox_workers VALUES"
    " (gen_random_uuid(), 'w1', 'h', 1, '1', now(), now() - interval '5 s', 0, 'count', false)"
)


@pytest.mark.parametrize(
    ("start", "target"),
    [(f"{number:04}", f"{number - 1:04}") for number in range(11, 2, -1)],
)
def test_what_is_said_to_go_is_what_goes(empty: Database, start: str, target: str) -> None:
    upgrade(empty, None)
    if start != HEAD:
        go_back(empty, start)
    with empty.begin() as connection:
        said, before = plan(connection, "here", None), _describe(connection)
    apply(empty, said)
    with empty.begin() as connection:
        gone = before - _describe(connection)
        assert current(connection) == said.target == target
    # A default is a setting of its column; what belongs to a table goes with it.
    whole = {item.split()[1] for item in gone if item.startswith("table ")}
    gone = {item for item in gone if not any(name in item for name in whole) or item.startswith("table ")}
    shown = {" ".join(item.split()[:2]) for item in gone}
    told = {f"{loss.kind} {loss.name.partition(':')[0]}" for loss in said.lost}
    told = {name.replace("setting", "column") for name in told if name not in OF_TABLES}
    assert shown == told


def test_values_and_rows_that_would_be_lost_are_counted(empty: Database, raw: psycopg.Connection) -> None:
    upgrade(empty, None)
    for trace in ("", TRACE, TRACE):
        outboxctl.enqueue(raw, entity_type="block", entity_id=uuid4(), event_version=1, traceparent=trace)
    with empty.begin() as connection:
        made = plan(connection, "here", "0002")
    rows = {loss.name: loss.rows for loss in made.lost if loss.rows is not None}
    columns = {
        "search_outbox_events.traceparent": 2,
        "outbox_workers.progress_at": 0,
        "outbox_workers.login": 0,
    }
    columns |= dict.fromkeys(
        (f"search_outbox_events.{n}" for n in ("entity_key", "follow", "follow_cursor")), 0
    )
    names = ("outbox_workers", "outbox_rebuilds", "outbox_projections", "outbox_deletes")
    tables = dict.fromkeys(names, 0) | {"outbox_version_base": 1}
    assert rows == columns | tables
    apply(empty, made)
    assert raw.execute("SELECT count(*) FROM search_outbox_events").fetchone() == (3,)
    assert upgrade(empty, None).after == HEAD, "and up again"


def test_a_column_of_the_applications_own_stays(empty: Database, raw: psycopg.Connection) -> None:
    raw.execute("CREATE TABLE search_outbox_events (id uuid PRIMARY KEY, traceparent text)")
    upgrade(empty, None)
    go_back(empty, "0004")
    assert raw.execute("SELECT traceparent FROM search_outbox_events").fetchall() == []


def test_a_partitioned_outbox_has_it_too(empty: Database, raw: psycopg.Connection) -> None:
    raw.execute(
        "CREATE TABLE search_outbox_events (id uuid NOT NULL, created_at timestamptz NOT NULL DEFAULT now(),"
        " PRIMARY KEY (id, created_at)) PARTITION BY RANGE (created_at);"
        "CREATE TABLE rest PARTITION OF search_outbox_events DEFAULT"
    )
    upgrade(empty, None)
    for id_ in (None, again := uuid4(), again):
        outboxctl.enqueue(
            raw, entity_type="b", entity_id=uuid4(), event_version=1, event_id=id_, traceparent=TRACE
        )
    assert raw.execute("SELECT traceparent FROM rest").fetchall() == [(TRACE,), (TRACE,)]
    go_back(empty, "0004")
    with pytest.raises(psycopg.errors.UndefinedColumn):
        raw.execute("SELECT traceparent FROM rest")


@pytest.mark.parametrize("target", [HEAD, "9999", "0000", "x'; DROP TABLE search_index; --"])
def test_only_an_older_revision_will_do(empty: Database, target: str) -> None:
    upgrade(empty, None)
    with empty.begin() as connection, pytest.raises(UsageError, match=f"none below {HEAD}"):
        plan(connection, "here", target)


def test_the_first_revision_and_no_schema_have_no_way_back(empty: Database) -> None:
    with empty.begin() as connection, pytest.raises(UsageError, match="none below none"):
        plan(connection, "here", None)
    upgrade(empty, None)
    go_back(empty, "0001")
    with empty.begin() as connection, pytest.raises(UsageError, match="none below 0001"):
        plan(connection, "here", None)


def test_not_while_a_worker_is_alive(empty: Database, raw: psycopg.Connection) -> None:
    upgrade(empty, None)
    with empty.begin() as connection:
        made = plan(connection, "here", None)
    raw.execute(BEAT)
    with pytest.raises(UsageError, match="workers are alive: w1"):
        apply(empty, made)
    raw.execute("UPDATE outbox_workers SET heartbeat_at = now() - interval '10 s'")
    apply(empty, made)


def test_not_if_somebody_was_quicker(empty: Database) -> None:
    upgrade(empty, None)
    with empty.begin() as connection:
        made = plan(connection, "here", None)
    go_back(empty, "0003")
    with pytest.raises(InconclusiveError, match="meanwhile"):
        apply(empty, made)


def test_the_command_says_it_and_asks(cli: Cli, empty: Database, raw: psycopg.Connection) -> None:
    upgrade(empty, None)
    outboxctl.enqueue(raw, entity_type="block", entity_id=uuid4(), event_version=1, traceparent=TRACE)
    said = cli.ok("db", "downgrade", "0004", "--dry-run")
    assert "column search_outbox_events.traceparent (1 value)" in said
    assert "nothing changed" in said
    refused = cli("db", "downgrade", "0004")
    assert refused.returncode == 2
    assert "traceparent (1 value)" in refused.stderr
    assert "refusing to go back to revision 0004 unasked" in refused.stderr
    raw.execute(BEAT)
    assert cli.json("db", "downgrade", "--dry-run")["workers"] == ["w1"]
    assert cli("db", "downgrade", "--yes").returncode == 2
    raw.execute("DELETE FROM outbox_workers")
    done = cli.json("db", "downgrade", "0003", "--yes")
    assert (done["current"], done["target"], done["dry_run"]) == (HEAD, "0003", False)
    assert cli("db", "check").returncode == 4

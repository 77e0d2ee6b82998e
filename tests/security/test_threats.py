"""Rows of the page on threats, tried as SQL or as a request by the one they speak of.

Logins are those of `outboxctl roles`; the sink's roles are a front that refuses what no privilege is for.
"""

import json
import re
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest
from elasticsearch import AuthorizationException, Elasticsearch
from psycopg.sql import SQL, Identifier

from fakes import Script, fake_sink
from fakes.faults import REDIRECT, refused
from operations import terminal
from outboxctl.core.schema.roles import Role
from processes import Cli, Worker, eventually
from security.as_roles import Roles
from security.test_sink_roles import permitted
from servers import Servers
from tls import Front

ROOT = Path(__file__).parents[2]
EVIL = "\x1b]0;evil\x07\x1b[31m[/x]\u202e"
FAILED, PENDING = (uuid.UUID(int=number) for number in (0xFA11ED, 0xBE))
ROWS = f"""
INSERT INTO search_index (id, entity_type, entity_id, text, event_version)
VALUES (gen_random_uuid(), 'block', '{PENDING}', 'text', 1);
INSERT INTO search_outbox_events (id, entity_type, entity_id, op, event_version, status, error_reason)
VALUES ('{PENDING}', 'block', '{PENDING}', 'upsert', 1, 'pending', NULL),
    ('{FAILED}', 'block', gen_random_uuid(), 'upsert', 1, 'failed', 'mapping');
"""
Sql = psycopg.Connection


@pytest.fixture(autouse=True)
def _rows(sql: Sql) -> None:
    sql.execute(ROWS.encode())


@pytest.fixture
def cli(as_roles: Roles, env: dict[str, str], tmp_path: Path) -> Cli:
    """A worker's command line."""
    return Cli(env | {"DATABASE_URL": as_roles.login("worker_1", Role.WORKER)}, tmp_path)


@pytest.fixture
def producer(as_roles: Roles, sql: Sql) -> Iterator[Sql]:
    """A session of the application, with the rights that the page on roles gives it and no others."""
    page = (ROOT / "docs/operators-desk/roles.md").read_text()
    (grant,) = re.findall(r"^GRANT .* TO your_application;$", page, re.M)
    url = as_roles.login("app")
    name, group = (Identifier(as_roles.prefix + each) for each in ("app", "producer"))
    sql.execute(
        SQL(grant.replace("outbox_producer", "{}").replace("your_application", "{}")).format(group, name)
    )
    with psycopg.connect(url, autocommit=True) as session:
        yield session


@contextmanager
def in_role(role: str, servers: Servers, index: str) -> Iterator[Elasticsearch]:
    """A client of the sink with this role's privileges."""
    front = Front(servers.sink, permits=lambda method, path: permitted(role, method, path, index))
    with front.open(), Elasticsearch(front.url) as client:
        yield client


@pytest.fixture
def spare(engine: Elasticsearch, index: str) -> Iterator[str]:
    """The name of another index, as long as ours; whatever begins with it is gone afterwards."""
    name = f"x{index[1:]}"
    yield name
    for each in engine.indices.get_alias(index=f"{name}*", expand_wildcards="all"):
        engine.indices.delete(index=each)


def denied(session: Sql, *statements: str) -> None:
    """None of these is permitted."""
    for statement in statements:
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            session.execute(statement.encode())


def test_the_page_names_tests_that_are_there() -> None:
    page = (ROOT / "docs/threats.md").read_text()
    named = {*re.findall(r"`((?:\w+/)?test_\w+)`", page)}
    files = {each if "/" in each else f"security/{each}" for each in named}
    assert len(files) > 20
    assert not [each for each in files if not (ROOT / f"tests/{each}.py").is_file()]


def documents(engine: Elasticsearch, index: str) -> dict[str, str]:
    """Every id, and its text."""
    engine.indices.refresh(index=index)
    hits = engine.search(index=index, size=100)["hits"]["hits"]
    return {hit["_id"]: hit["_source"].get("text", "") for hit in hits}


def insert(session: Sql, op: str, entity: uuid.UUID, version: int = 1) -> None:
    """An event, as an application writes it."""
    session.execute(
        "INSERT INTO search_outbox_events (entity_type, entity_id, op, event_version, status, created_at,"
        " updated_at) VALUES ('block', %s, %s, %s, 'pending', now(), now())",
        [entity, op, version],
    )


def test_the_outbox_has_what_is_there_sent_again_and_no_document_of_its_own(
    producer: Sql, cli: Cli, engine: Elasticsearch, index: str, sql: Sql
) -> None:
    there = {f"block:{PENDING}": "text"}
    insert(producer, "upsert", PENDING)
    insert(producer, "upsert", uuid.uuid4(), version=2**63 - 1)
    insert(producer, EVIL[:20], PENDING)
    cli.ok("worker", "--drain")
    assert documents(engine, index) == there
    sql.execute("UPDATE search_index SET text = 'changed without an event'")
    insert(producer, "upsert", PENDING)
    cli.ok("worker", "--drain")
    assert set(documents(engine, index).values()) == {"changed without an event"}, "sent again"


def test_a_delete_in_the_outbox_has_the_row_looked_at_again(
    producer: Sql, cli: Cli, engine: Elasticsearch, index: str
) -> None:
    insert(producer, "delete", PENDING)
    cli.ok("worker", "--drain")
    assert documents(engine, index) == {f"block:{PENDING}": "text"}


def test_search_index_makes_any_document_and_none_of_another_index(
    sql: Sql, cli: Cli, engine: Elasticsearch, index: str
) -> None:
    other = f"{index}-other"
    engine.index(index=other, id="theirs", document={"text": "theirs"}, refresh=True)
    action = json.dumps({"index": {"_index": other, "_id": "mine"}})
    hostile = ["any", f'"}}\n{action}\n{{"text": "mine"}}\n', f'x", "_index": "{other}']
    kinds = [f"../{other}/_doc", "?routing=1", f"{other}/_doc/mine", "x\r\nHost: y", "_all"]
    ids = {}
    for text, kind in zip([*hostile, "any", "any"], kinds, strict=True):
        entity = uuid.uuid4()
        sql.execute(
            "INSERT INTO search_index (id, entity_type, entity_id, text, snippet, event_version)"
            " VALUES (gen_random_uuid(), %s, %s, %s, '', 1)",
            [kind, entity, text],
        )
        sql.execute(
            "INSERT INTO search_outbox_events (entity_type, entity_id, op, event_version, status)"
            " VALUES (%s, %s, 'upsert', 1, 'pending')",
            [kind, entity],
        )
        ids[f"{kind}:{entity}"] = text
    cli.ok("worker", "--drain")
    assert documents(engine, index) == ids | {f"block:{PENDING}": "text"}
    assert documents(engine, other) == {"theirs": "theirs"}


def test_a_stolen_worker_adds_events_without_a_version_which_fail_and_change_no_document(
    as_roles: Roles, cli: Cli, engine: Elasticsearch, index: str, sql: Sql
) -> None:
    """It may insert those of projections, by five columns; the version is not one of them."""
    with psycopg.connect(as_roles.login("thief", Role.WORKER), autocommit=True) as thief:
        event = (
            "INSERT INTO search_outbox_events (entity_type, entity_id, op{}) VALUES ('block', '{}', '{}'{})"
        )
        denied(thief, event.format(", event_version", PENDING, "delete", ", 9"))
        denied(thief, event.format(", status", PENDING, "delete", ", 'done'"))
        for op in ("upsert", "delete"):
            thief.execute(event.format("", PENDING, op, "").encode())
    cli.ok("worker", "--drain")
    assert documents(engine, index) == {f"block:{PENDING}": "text"}
    failed = "SELECT op FROM search_outbox_events WHERE error_reason = 'deterministic_exception' ORDER BY 1"
    assert sql.execute(failed.encode()).fetchall() == [("delete",), ("upsert",)]


def test_a_stolen_worker_writes_all_documents_and_reaches_no_other_index(
    servers: Servers, engine: Elasticsearch, index: str, spare: str
) -> None:
    engine.index(index=spare, id="theirs", document={"text": "theirs"}, refresh=True)
    with in_role("worker", servers, index) as thief:
        write = {"index": {"_id": "mine"}}, {"text": "mine"}
        assert not thief.bulk(index=index, operations=write)["errors"]
        assert documents(engine, index) == {"mine": "mine"}
        assert not thief.bulk(index=index, operations=[{"delete": {"_id": "mine"}}])["errors"]
        forbidden: tuple[Callable[[], object], ...] = (
            lambda: thief.bulk(index=spare, operations=write),
            lambda: thief.search(index=index),
            lambda: thief.indices.delete(index=index),
            lambda: thief.indices.create(index=f"{spare}-2"),
            lambda: thief.indices.update_aliases(actions=[]),
        )
        for asked in forbidden:
            with pytest.raises(AuthorizationException):
                asked()
    assert documents(engine, spare) == {"theirs": "theirs"}


def test_metrics_show_counts_and_hold_no_id_text_or_secret(
    as_roles: Roles, worker: Callable[..., Worker], sql: Sql
) -> None:
    sql.execute("UPDATE search_index SET text = 'a secret text', entity_type = 'block'")
    with fake_sink(
        Script.always(refused(400, "mapper_parsing_exception", f"no {EVIL} of {PENDING}"))
    ) as sink:
        password = "c4n4ry"
        running = worker(
            DATABASE_URL=as_roles.login("worker_1", Role.WORKER),
            ELASTIC_URL=sink.url.replace("//", f"//somebody:{password}@"),
            OUTBOX_MAX_ATTEMPTS="1",
        )
        eventually(lambda: running.metric("outbox_terminal_failed_total") >= 1)
        status, text = running.get("/metrics")
    assert status == 200
    assert 'reason="' in text
    assert not [
        each for each in (str(PENDING), str(FAILED), "secret text", "hush", password, EVIL) if each in text
    ]


def test_a_sinks_text_fills_the_error_of_a_row_and_reaches_no_terminal(
    cli: Cli, as_roles: Roles, sql: Sql, tmp_path: Path
) -> None:
    said = EVIL + "x" * 5_000
    with fake_sink(Script.always(refused(400, "mapper_parsing_exception", said))) as sink:
        url = sink.url
        done = cli("worker", "--drain", env={"ELASTIC_URL": url, "OUTBOX_MAX_ATTEMPTS": "1"})
    ((error,),) = sql.execute("SELECT error FROM search_outbox_events WHERE id = %s", [PENDING]).fetchall()
    assert "xxxxx" in error
    assert len(error) <= 1_000
    assert "\x1b" not in done.stderr + done.stdout
    assert all(json.loads(line) for line in done.stderr.splitlines())
    env = cli.env | {"DATABASE_URL": as_roles.login("viewer_1", Role.VIEWER), "TERM": "xterm-256color"}
    raw = terminal.show(["failed", "show", str(PENDING)], env, tmp_path, columns=80).raw
    assert not [each for each in ("\x1b]0;", "\x07", "\x1b[31m[", "\u202e") if each in raw]


def test_a_redirect_of_the_sink_is_not_followed(cli: Cli, sql: Sql) -> None:
    with fake_sink() as elsewhere:
        there = REDIRECT.reply
        assert there
        there.headers["Location"] = f"{elsewhere.url}/"  # type: ignore[index]
        with fake_sink(Script.always(REDIRECT)) as sink:
            url = sink.url
            cli("worker", "--drain", env={"ELASTIC_URL": url, "OUTBOX_MAX_ATTEMPTS": "1"})
        assert sink.requests
        assert (elsewhere.requests, elsewhere.lookups) == ([], [])
    assert sql.execute(
        "SELECT error_reason FROM search_outbox_events WHERE id = %s", [PENDING]
    ).fetchall() == [("bad_response",)]

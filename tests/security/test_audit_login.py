"""The login stands beside `--by`, and neither that nor the time is an operator's word."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest
from psycopg.sql import SQL, Identifier

from operations.failures import fail
from outboxctl.core.schema.roles import Role
from processes import Cli
from security.as_roles import Roles

pytestmark = pytest.mark.slow(reason="each command on a server that logs")

WHO = ("--by", "alice", "--reason", "why")
ROW = {
    "at": "'2020-02-02'",
    "action": "'discard'",
    "operator": "'alice'",
    "reason": "'x'",
    "filters": "'{}'",
    "affected": "1",
    "event_ids": "'{}'",
}


def _audit(**more: str) -> bytes:
    given = ROW | more
    columns, values = ", ".join(given), ", ".join(given.values())
    return f"INSERT INTO outbox_operator_audit ({columns}) VALUES ({values})".encode()


@dataclass
class Mallory:
    """An operator who pretends to be alice."""

    name: str
    cli: Cli
    sql: psycopg.Connection


@pytest.fixture
def mallory(as_roles: Roles, env: dict[str, str], tmp_path: Path) -> Iterator[Mallory]:
    url = as_roles.login("mallory", Role.OPERATOR)
    with psycopg.connect(url, autocommit=True) as own:
        yield Mallory(f"{as_roles.prefix}mallory", Cli(env | {"DATABASE_URL": url}, tmp_path), own)


def test_an_audit_row_of_2020_by_alice_says_today_and_who_wrote_it(mallory: Mallory, cli: Cli) -> None:
    mallory.sql.execute(_audit())
    (act,) = cli.json("audit", "--since", "2026-01-01")["audit"]
    assert (act["operator"], act["logged_in_as"]) == ("alice", mallory.name)
    assert not act["at"].startswith("2020")


def test_a_login_cannot_be_sent(mallory: Mallory, sql: psycopg.Connection) -> None:
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        mallory.sql.execute(_audit(logged_in_as="'alice'"))
    sql.execute(SQL("GRANT INSERT ON outbox_operator_audit TO {}").format(Identifier(mallory.name)))
    mallory.sql.execute(_audit(logged_in_as="'alice'"))  # as before `roles` was run again
    assert sql.execute("SELECT logged_in_as FROM outbox_operator_audit").fetchall() == [(mallory.name,)]


def test_a_batch_added_to_anothers_act_shows(cli: Cli, sql: psycopg.Connection, mallory: Mallory) -> None:
    fail(sql)
    act = cli.json("failed", "discard", *WHO, "--limit", "1")["audit_id"]
    mallory.sql.execute(_audit(act_id=f"'{act}'"))
    (told,) = cli.json("audit")["audit"]
    assert set(told["logged_in_as"].split(", ")) == {mallory.name, sql.info.user}


def test_every_place_that_tells_of_an_act_shows_the_login(
    cli: Cli, sql: psycopg.Connection, mallory: Mallory
) -> None:
    fail(sql)
    act = mallory.cli.json("replay", *WHO)["audit_id"]
    said = f"logged in as {mallory.name}"
    assert said in cli.ok("audit")
    assert said in cli.ok("audit", "--id", act)
    assert cli.json("audit", "--id", act)["act"]["logged_in_as"] == mallory.name


def test_what_an_operator_deletes_does_not_come_back_under_its_id(
    mallory: Mallory, sql: psycopg.Connection
) -> None:
    event = fail(sql)
    mallory.sql.execute("DELETE FROM search_outbox_events")
    into = "INSERT INTO search_outbox_events ({}entity_type, entity_id, op)"
    new = f"{into} VALUES ({{}}'b', gen_random_uuid(), 'x')"
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        mallory.sql.execute(new.format("id, ", f"'{event}', ").encode())
    mallory.sql.execute(new.format("", "").encode())
    assert sql.execute("SELECT count(*) FROM search_outbox_events WHERE id = %s", [event]).fetchone() == (0,)

"""The environment marker is changed by a command, with an audit row; errors name what is in the way."""

from typing import Any

import psycopg
import pytest

from processes import Cli

WHO = ("--by", "alice", "--reason", "the lab document runs here")


def marked(sql: psycopg.Connection) -> Any:
    row = sql.execute("SELECT environment FROM outbox_environment").fetchone()
    return row and row[0]


def audited(sql: psycopg.Connection) -> list[Any]:
    return sql.execute(
        "SELECT id::text, operator, reason, filters, affected FROM outbox_operator_audit"
        " WHERE action = 'mark' ORDER BY at"
    ).fetchall()


@pytest.mark.parametrize("name", ["WORDLOOM_ENV", "OUTBOX_ENV"])
def test_a_contradiction_names_what_was_set_and_the_way_out_works(
    cli: Cli, sql: psycopg.Connection, name: str
) -> None:
    cli.ok("db", "upgrade", env={"OUTBOX_ENV": "dev"})
    document = {name: "test"}
    refused = cli("worker", "--drain", env=document)
    assert refused.returncode == 2
    assert refused.stderr.startswith(f"outboxctl: {name} ")
    assert "is marked dev" in refused.stderr
    assert "outboxctl db mark test --by" in refused.stderr
    told = cli.json("db", "mark", "test", *WHO, env=document)
    assert told["audit_id"] == audited(sql)[0][0]
    assert (told["before"], told["after"]) == ("dev", "test")
    assert audited(sql)[0][1:] == ("alice", WHO[3], {"before": "dev", "after": "test"}, 0)
    cli.ok("worker", "--drain", env=document)
    assert WHO[3] in cli.ok("audit", "--action", "mark")


def test_what_is_marked_so_already_is_not_changed(cli: Cli, sql: psycopg.Connection) -> None:
    cli.ok("db", "upgrade", env={"OUTBOX_ENV": "dev"})
    assert "nothing was changed" in cli.ok("db", "mark", "dev", *WHO)
    assert (marked(sql), audited(sql)) == ("dev", [])


def test_without_an_audit_row_there_is_no_change(cli: Cli, sql: psycopg.Connection) -> None:
    cli.ok("db", "upgrade", env={"OUTBOX_ENV": "dev"})
    sql.execute("ALTER TABLE outbox_operator_audit ADD CHECK (action <> 'mark')")
    assert cli("db", "mark", "test", *WHO).returncode != 0
    assert marked(sql) == "dev"


def test_prod_is_changed_by_a_yes_alone(cli: Cli, sql: psycopg.Connection) -> None:
    cli.ok("db", "mark", "prod", *WHO)
    refused = cli("db", "mark", "dev", *WHO)
    assert (refused.returncode, marked(sql)) == (2, "prod")
    assert "is prod: refusing to mark the database dev unasked" in refused.stderr
    cli.ok("db", "mark", "dev", *WHO, "--yes")
    assert marked(sql) == "dev"

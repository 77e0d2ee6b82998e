"""What cannot be compared or mended is refused in words, with the exit code of the contract."""

import uuid
from collections.abc import Iterator

import pytest
from elasticsearch import Elasticsearch

from operations.disaster import Ground
from processes import Cli

pytestmark = pytest.mark.real_engine
WHO = ("--by", "alice", "--reason", "drill")


@pytest.fixture
def other(engine: Elasticsearch) -> Iterator[str]:
    """The name of an index that the test makes."""
    name = f"t-{uuid.uuid4().hex[:12]}"
    yield name
    engine.options(ignore_status=404).indices.delete(index=name)


def refused(cli: Cli, code: int, *args: str, **env: str) -> str:
    done = cli(*args, env=env)
    assert (done.returncode, done.stdout) == (code, ""), done.stdout + done.stderr
    assert len(done.stderr.splitlines()) == 1
    return done.stderr


def test_bodies_that_are_not_kept_can_be_compared_by_version_alone(
    cli: Cli, ground: Ground, engine: Elasticsearch, other: str
) -> None:
    properties = {name: {"type": "keyword"} for name in ("entity_type", "entity_id")}
    mappings = {"_source": {"enabled": False}, "properties": properties}
    engine.indices.create(index=other, mappings=mappings)
    Ground(ground.sql, engine, other).write(ground.documents())
    said = refused(cli, 2, "--elastic-index", other, "verify")
    assert "_source is disabled" in said
    assert "--versions-only" in said
    cli.ok("--elastic-index", other, "verify", "--versions-only")


def test_sides_that_are_away(cli: Cli, index: str) -> None:
    assert "index_unavailable" in refused(cli, 3, "--elastic-index", f"{index}-none", "verify")
    assert "connect" in refused(cli, 3, "verify", ELASTIC_URL="http://127.0.0.1:9")
    assert "cannot be used" in refused(cli, 3, "verify", DATABASE_URL="postgresql://u:hush@127.0.0.1:9/x")


def test_no_guard_stands_before_a_look(cli: Cli, ground: Ground) -> None:
    ground.bulk([{"delete": {"_id": ground.documents()[0].id}}])
    ground.sql.execute("INSERT INTO outbox_environment (environment) VALUES ('prod')")
    assert cli("verify", env={"OUTBOX_READ_ONLY": "true"}).returncode == 4
    planned = cli("verify", "--repair", *WHO, "--dry-run", env={"OUTBOX_READ_ONLY": "true"})
    assert planned.returncode == 4
    assert "dry run, nothing changed" in planned.stdout
    for table in ("search_outbox_events", "outbox_operator_audit"):
        assert ground.sql.execute(f"SELECT count(*) FROM {table}").fetchone() == (0,)
    assert cli.json("verify", "--repair", *WHO, "--yes")["repaired"]["enqueued"] == 1


def test_a_standby_is_not_compared(cli: Cli, ground: Ground) -> None:
    ground.sql.execute("SET allow_system_table_mods = on")
    ground.sql.execute(  # the planner inlines it: the executor would take the built-in one
        "CREATE OR REPLACE FUNCTION pg_catalog.pg_is_in_recovery() RETURNS boolean LANGUAGE sql VOLATILE"
        " AS 'SELECT true'"
    )
    assert "standby" in refused(cli, 2, "verify")

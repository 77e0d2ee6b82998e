"""`report`: what `check`, `status` and `failed list` say, in one text, also in a disaster and an outage."""

import json

import pytest

from acceptance import lab
from operations.every_command import RAW, haunt
from processes import Cli
from scene import Scene

FAILED = """
INSERT INTO search_outbox_events (entity_type, entity_id, op, status, error_reason, error, attempts)
SELECT 'block', gen_random_uuid(), 'upsert', 'failed', 'mapping', 'failed to parse ' || n, 10
FROM generate_series(1, 60) n
"""
SECRET = """
INSERT INTO search_outbox_events (entity_type, entity_id, op, status, error_reason, error)
VALUES ('block', gen_random_uuid(), 'upsert', 'failed', 'connect', 'no way to https://elastic:geheim@es.example/')
"""


@pytest.fixture
def disaster(scene: Scene) -> None:
    """Rows with hostile texts, failed events of two causes, and a secret in an error."""
    haunt(scene.sql)
    scene.sql.execute(FAILED)
    scene.sql.execute(SECRET)


@pytest.mark.usefixtures("disaster")
def test_json_holds_what_each_of_the_three_commands_prints(cli: Cli) -> None:
    sections = cli.json("report")
    alone = {
        "check": json.loads(cli("check", "--json").stdout),
        "status": cli.json("status"),
        "failed": cli.json("failed", "list"),
    }
    assert {name: part.keys() for name, part in sections.items()} == {
        name: part.keys() for name, part in alone.items()
    }
    assert sections["check"]["state"] == alone["check"]["state"] == "CRITICAL"
    assert sections["status"]["status"] == alone["status"]["status"]
    assert sections["failed"] == alone["failed"]


@pytest.mark.usefixtures("disaster")
def test_the_text_has_each_section_without_secrets_and_changes_nothing(cli: Cli, scene: Scene) -> None:
    before = lab.state(scene.sql)
    said = cli.ok("report")
    check, status, failed = (f"\noutboxctl {name}\n" for name in ("check", "status", "failed list"))
    assert said.index(check) < said.index("OUTBOX CRITICAL - ") < said.index(status)
    assert said.index(status) < said.index("B  Stuck: ") < said.index(failed)
    assert cli.ok("failed", "list") in said
    assert "geheim" not in said
    assert not any(raw in said for raw in RAW)
    assert lab.state(scene.sql) == before


def test_a_database_that_is_away_is_named_and_the_exit_code_is_3(cli: Cli) -> None:
    away = {"DATABASE_URL": "postgresql://u:geheim@127.0.0.1:9/x"}
    done = cli("report", "--json", env=away)
    assert done.returncode == 3
    sections = json.loads(done.stdout)
    assert sections["check"]["state"] == "UNKNOWN"
    assert (sections["status"], sections["failed"]) == (None, None)
    assert "left out: status: " in done.stderr
    assert "geheim" not in done.stdout + done.stderr
    assert cli("report", env=away).stdout.count("OUTBOX UNKNOWN - ") == 1


def test_without_the_search_engine_the_report_is_whole(cli: Cli, scene: Scene) -> None:
    scene.load(3)
    done = cli("report", "--json", env={"ELASTIC_URL": "http://127.0.0.1:9"})
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout)["status"]["lag"] == 3

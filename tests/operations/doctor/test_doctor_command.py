"""The command: what a person and a script see of it."""

import json

import psycopg

from processes import Cli

ILL = "CREATE INDEX odd ON search_outbox_events (status)"


def test_exit_codes_tell_well_from_ill_from_away(cli: Cli, sql: psycopg.Connection) -> None:
    assert cli("doctor").returncode == 0
    sql.execute(ILL)
    assert cli("doctor").returncode == 4
    assert cli("doctor", "--ignore", "db-index-harmful").returncode == 0
    assert cli("doctor", "--only", "sink", "--only", "settings").returncode == 0
    away = cli("doctor", env={"ELASTIC_URL": "http://127.0.0.1:9"})
    assert away.returncode == 3
    assert "db-index-harmful" in away.stdout
    assert "sink-unreachable" in away.stdout


def test_json_is_for_scripts(cli: Cli, sql: psycopg.Connection) -> None:
    sql.execute(ILL)
    said = json.loads(cli("doctor", "--only", "database", "--json").stdout)
    (found,) = said["findings"]
    assert found == {
        "id": "db-index-harmful",
        "end": "database",
        "severity": "warning",
        "what": found["what"],
        "why": found["why"],
        "mend": "DROP INDEX CONCURRENTLY odd;",
    }
    assert "database: schema, indexes, triggers" in said["examined"]


def test_text_fits_80_columns_and_a_command_stays_one_line(cli: Cli, sql: psycopg.Connection) -> None:
    sql.execute("DROP INDEX ix_search_outbox_events_reclaimed")
    done = cli("doctor", "--only", "database", env={"COLUMNS": "80"})
    lines = done.stdout.splitlines()
    mend = (
        "    CREATE INDEX CONCURRENTLY ix_search_outbox_events_reclaimed ON search_outbox_events"
        " (created_at) WHERE status = 'pending' AND error_reason = 'lease_expired';"
    )
    assert mend in lines
    assert "\x1b" not in done.stdout
    assert done.stderr == ""


def test_without_a_database_the_other_ends_can_be_examined(cli: Cli) -> None:
    assert cli("doctor", env={"DATABASE_URL": ""}).returncode == 2
    assert cli("doctor", "--only", "sink", env={"DATABASE_URL": ""}).returncode == 0
    away = cli("doctor", "--only", "sink", env={"DATABASE_URL": "postgresql://me@127.0.0.1:1/x"})
    assert (away.returncode, "not-examined" in away.stdout) == (0, True), "it does not know of other indexes"


def test_passwords_stay_unsaid(cli: Cli) -> None:
    secrets = {
        "DATABASE_URL": "postgresql://u:s3cret-s3cret@127.0.0.1:9/app",
        "ELASTIC_URL": "http://u:s3cret-s3cret@127.0.0.1:9",
    }
    done = cli("doctor", env=secrets)
    assert done.returncode == 3
    assert "s3cret" not in done.stdout + done.stderr

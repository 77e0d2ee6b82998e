"""Labs on somebody's own system: shown and agreed to first, in a namespace of their own, gone at the end."""

import json
import sys
from pathlib import Path

import psycopg
import pytest
from elasticsearch import Elasticsearch

import pgbouncer
from drills.labs.conftest import left
from operations import terminal
from processes import Cli

RUN = ("lab", "run", "bad-op", "--against")


def theirs(sql: psycopg.Connection, engine: Elasticsearch, index: str) -> tuple[int, int, int]:
    """Rows and documents that are not a lab's."""
    events = sql.execute("SELECT count(*) FROM search_outbox_events").fetchall()[0][0]
    sources = sql.execute("SELECT count(*) FROM search_index").fetchall()[0][0]
    return events, sources, int(engine.count(index=index)["count"])


def test_a_lab_touches_nothing_but_its_own(
    staging: dict[str, str], tmp_path: Path, sql: psycopg.Connection, engine: Elasticsearch
) -> None:
    cli, index = Cli(staging, tmp_path), staging["ELASTIC_INDEX"]
    cli.ok("inject", "load", "--count", "3")
    before = theirs(sql, engine, index)
    labs = ("bad-op", "kill-and-heal", "zombie-worker")
    done = cli("lab", "run", *labs, "--against", "--yes", "--json", timeout=200)
    verdicts = {record["lab"]: record["verdict"] for record in json.loads(done.stdout)["records"]}
    assert verdicts == dict.fromkeys(labs, "OK"), done.stdout
    assert done.returncode == 0
    for name in ("schema outboxctl_lab_bad_op_", f"index {index}-lab-zombie-worker-"):
        assert name in done.stderr  # said first, and whole
    assert theirs(sql, engine, index) == before
    assert left(sql, engine, index) == []


def test_a_no_changes_nothing(staging: dict[str, str], tmp_path: Path) -> None:
    env = staging | {"TERM": "dumb", "NO_COLOR": "1"}
    shown = terminal.show([*RUN], env, tmp_path, columns=40, keys=[("[y/N]", "n\n")])
    assert shown.returncode == 2
    assert "\x1b" not in shown.raw
    assert not (tmp_path / "lab-evidence").exists() or not list((tmp_path / "lab-evidence").iterdir())


@pytest.mark.parametrize(
    ("changed", "flags", "said"),
    [
        ({"OUTBOX_ENV": "prod"}, ("--yes",), "this is prod"),
        ({"ELASTIC_URL": "http://search.example:9200"}, ("--yes",), "--yes-this-is-not-production"),
        ({"DATABASE_URL": ""}, ("--yes",), "services up"),
        ({}, (), "--yes"),
        ({}, ("--yes", "--search", "noida"), "--search"),
    ],
    ids=lambda value: ",".join(value) if isinstance(value, dict) else "",
)
def test_it_is_refused(
    staging: dict[str, str], tmp_path: Path, changed: dict[str, str], flags: tuple[str, ...], said: str
) -> None:
    done = Cli(staging | changed, tmp_path)(*RUN, *flags)
    assert done.returncode == 2
    assert said in done.stderr


def test_whoever_tries_another_worker_is_told_that_his_own_events_are_at_risk(
    staging: dict[str, str], tmp_path: Path
) -> None:
    done = Cli(staging, tmp_path)(*RUN, "--worker", "true")
    assert done.returncode == 2, "it is asked for, whatever the other flags"
    said = " ".join(done.stderr.split())
    assert "--worker true gets DATABASE_URL with options=-csearch_path=" in said
    assert "your own events in schema public" in said
    assert "Nothing else is touched" not in said


@pytest.mark.parametrize("name", ["DATABASE_URL", "ELASTIC_URL"])
def test_an_end_that_is_away_is_named_with_what_starts_it(
    staging: dict[str, str], tmp_path: Path, name: str
) -> None:
    scheme = "postgresql://u:secret@" if name == "DATABASE_URL" else "http://u:secret@"
    done = Cli(staging | {name: f"{scheme}127.0.0.1:1/"}, tmp_path)(*RUN, "--yes")
    assert done.returncode == 3
    assert "services up" in done.stderr
    assert "secret" not in done.stderr


@pytest.mark.skipif(not pgbouncer.available() or sys.platform != "linux", reason="no PgBouncer to be had")
def test_a_pooler_that_keeps_the_search_path_to_itself_is_named(
    staging: dict[str, str], tmp_path: Path, sql: psycopg.Connection
) -> None:
    tables = "SELECT count(*) FROM pg_class WHERE relkind = 'r'"
    before = sql.execute(tables).fetchone()
    with pgbouncer.pgbouncer(staging["DATABASE_URL"], size=4) as pooled:
        done = Cli(staging | {"DATABASE_URL": pooled}, tmp_path)(*RUN, "--yes")
    assert "pooler" in done.stdout + done.stderr
    assert done.returncode == 5
    assert sql.execute(tables).fetchone() == before

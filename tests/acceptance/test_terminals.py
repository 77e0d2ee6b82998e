"""Odd terminals, closed pipes, and secrets that stay secret."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from acceptance import lab
from processes import Cli, Worker, eventually

SECRET = "hunter2-s3cret"


@pytest.mark.slow(reason="real processes for many seconds")
def test_ascii_terminals_show_the_same_facts(cli: Cli, sql: lab.Sql) -> None:
    _, event = lab.put(sql)
    sql.execute("UPDATE search_outbox_events SET error_reason = 'connect', error = '\u4e2d\u6587 [/nope]'")
    for env in (
        {"LC_ALL": "C", "PYTHONIOENCODING": "ascii"},
        {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
    ):
        assert str(event) in cli.ok("oldest", env=env), "whole, to be pasted into replay --id"


def test_config_show_masks_secrets_and_says_where_values_came_from(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / ".env").write_text(f"OUTBOX_BULK_SIZE=77\nELASTIC_API_KEY={SECRET}\nOUTBOX_LEASE_SECONDS=9\n")
    env = {
        "DATABASE_URL": f"postgresql+psycopg://me:{SECRET}@db.example:5432/x?sslpassword={SECRET}",
        "ELASTIC_PASSWORD": SECRET,
        "OUTBOX_LEASE_SECONDS": "11",
    }
    args = ("--elastic-url", f"https://u:{SECRET}@es:9200,https://v:{SECRET}@es2:9200", "config", "show")
    seen = {row["setting"]: row for row in cli.json(*args, env=env)["settings"]}
    assert SECRET not in str(seen) + cli.ok(*args, env=env)
    sources = {name: seen[name]["source"] for name in seen}
    assert sources["ELASTIC_URL"] == "flag"
    assert sources["OUTBOX_LEASE_SECONDS"] == sources["DATABASE_URL"] == "environment"
    assert sources["OUTBOX_BULK_SIZE"] == sources["ELASTIC_API_KEY"] == ".env"
    assert sources["OUTBOX_MAX_ATTEMPTS"] == "default"
    assert (seen["OUTBOX_BULK_SIZE"]["value"], seen["OUTBOX_LEASE_SECONDS"]["value"]) == (77, 11.0)
    assert "db.example" in seen["DATABASE_URL"]["value"]
    assert set(seen) >= {"OUTBOX_ENV", "OUTBOX_METRICS_PORT", "OUTBOX_OUTAGE_POLICY", "ELASTIC_CA_CERTS"}


def test_the_metrics_server_is_local_and_knows_only_its_paths(worker: Callable[..., Worker]) -> None:
    running = worker()
    eventually(lambda: running.get("/readyz")[0] == 200)
    assert running.get("/nothing")[0] == 404
    assert running.get("/metrics")[0] == 200
    local = subprocess.run(
        ["cat", "/proc/net/tcp"], capture_output=True, text=True, timeout=5, check=True
    ).stdout
    listening = [line.split()[1] for line in local.splitlines()[1:] if line.split()[3] == "0A"]
    assert [each for each in listening if each.endswith(f":{running.port:04X}")] == [
        f"0100007F:{running.port:04X}"
    ]


def test_a_taken_metrics_port_is_said_with_its_number(cli: Cli, worker: Callable[..., Worker]) -> None:
    running = worker()
    eventually(lambda: running.get("/healthz")[0] == 200)
    done = cli("worker", "--metrics-port", str(running.port))
    assert done.returncode == 2
    assert str(running.port) in done.stderr
    assert len(done.stderr.strip().splitlines()) <= 2

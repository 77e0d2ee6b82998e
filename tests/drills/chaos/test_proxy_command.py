"""`outboxctl chaos proxy` as a person and a script use it."""

import re
import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest
from elasticsearch import Elasticsearch

from drills.chaos.through import bulk
from invariants import check_invariants
from outboxctl.cli.chaos import proxy
from outboxctl.domain.errors import UsageError
from outboxctl.drills import services
from processes import OUTBOXCTL, Cli

HEAD = re.compile(r"export ELASTIC_URL='(http://127\.0\.0\.1:\d+)'\n")


@contextmanager
def running(cli: Cli, *args: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """The command at work, and the URL that its first line names."""
    with subprocess.Popen(
        [*OUTBOXCTL, "chaos", "proxy", "--port", "0", *args],
        env=cli.env | {"OUTBOX_ENV": "test"},
        cwd=cli.cwd,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        head = HEAD.fullmatch(process.stdout.readline() if process.stdout else "")
        assert head
        try:
            yield process, head[1]
        finally:
            process.kill()


@pytest.mark.slow(reason="a proxy and a worker as processes")
def test_a_worker_gets_through_until_ctrl_c(
    cli: Cli, sql: psycopg.Connection, engine: Elasticsearch, index: str
) -> None:
    cli.ok("inject", "load", "--total", "60", "--rate", "0")
    port = str(services.fresh_port())
    with running(cli, "--fault", "busy=0", "--share", "0.5") as (process, url):
        more = {"ELASTIC_URL": url, "OUTBOX_BULK_SIZE": "10", "OUTBOX_BASE_BACKOFF_SECONDS": "0.05"}
        cli.ok("worker", "--drain", "--metrics-port", port, env=more | {"OUTBOX_MAX_ATTEMPTS": "50"})
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=20)
    assert process.returncode == 0, err
    assert out.lstrip().startswith("busy, for ")
    counts = dict(re.findall(r"(\w+) +(\d+)\b", out))
    assert int(counts["bulks"]) > int(counts["struck"]) > 0
    check_invariants(sql, engine, index, rows=60)


def test_told_to_stop_it_says_what_came(cli: Cli, index: str) -> None:
    with running(cli, "--fault", "some-items", "--share", "1", "--for", "1h") as (process, url):
        with Elasticsearch(url) as client:
            client.bulk(index=index, operations=bulk("a", "b"))  # type: ignore[arg-type]
        process.terminate()
        out, err = process.communicate(timeout=20)
    assert (process.returncode, err) == (0, "")
    assert re.search(r"items failed +2\b", out)


@pytest.mark.no_servers
@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"elastic_url": "http://example.com:9200"}, "not on this machine: http://example.com:9200"),
        ({"elastic_url": "http://u:hush@example.com:9200"}, r"not on this machine: http://u:\*\*\*@example"),
        ({"port": 9200}, "stand before itself"),
        ({"elastic_url": "http://127.0.0.1:1,http://127.0.0.1:2"}, "before one sink"),
        ({"duration": "soon"}, "--for: not a duration"),
        ({"fault": "busy", "share": float("nan")}, "share of a fault is above 0"),
        ({"elastic_url": "http://example.com:1", "sure": True}, "cannot listen on .* in use"),
        ({"environment": "prod"}, "this is prod: refusing to break what passes"),
    ],
)
def test_what_it_refuses(
    given: dict[str, Any], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DATABASE_URL", raising=False)
    monkeypatch.setenv("OUTBOX_ENV", given.get("environment", "test"))
    if url := given.get("elastic_url"):
        monkeypatch.setenv("ELASTIC_URL", url)
    flags = {name: value for name, value in given.items() if name not in {"environment", "elastic_url"}}
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(UsageError, match=said):
        proxy(**{"port": taken.getsockname()[1], **flags})

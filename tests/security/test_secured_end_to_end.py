"""A worker between two ends that take nobody without a certificate, its secrets in files that change."""

from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest
from elasticsearch import Elasticsearch

from processes import Cli, Worker, eventually
from scene import Scene, blames, ready
from security.postgres_in_tls import TlsPostgres, programs, tls_postgres
from servers import Servers
from tls import Front, Papers

pytestmark = pytest.mark.skipif(not programs(), reason="the system has no PostgreSQL with OpenSSL")
OURS = "FROM pg_stat_activity WHERE application_name = 'outboxctl'"
EXPIRED = "certificate has expired"
KEYS = ("b25l", "dHdv")


@pytest.fixture(scope="module")
def database(papers: Papers) -> Iterator[TlsPostgres]:
    """A PostgreSQL with ssl=on and clientcert=verify-full."""
    with tls_postgres(papers) as server:
        server.run("CREATE ROLE worker LOGIN PASSWORD 'one-password'")
        server.run("CREATE DATABASE outbox OWNER worker")
        yield server


@pytest.fixture
def sink(servers: Servers, papers: Papers) -> Iterator[Front]:
    """The sink behind mutual TLS, for the first API key."""
    front = Front(servers.sink, papers.server(asks=papers.ca), lets_in={f"ApiKey {KEYS[0]}"})
    with front.open():
        yield front


@pytest.fixture
def secured(
    env: dict[str, str], database: TlsPostgres, sink: Front, papers: Papers, tmp_path: Path
) -> dict[str, str]:
    """The settings: files everywhere, and no secret in the environment."""
    (tmp_path / "url").write_text(database.url("worker", "one-password") + "\n")
    (tmp_path / "key").write_text(KEYS[0] + "\n")
    cert, key = papers.issue("worker")
    env.pop("DATABASE_URL")
    env |= {
        "DATABASE_URL_FILE": str(tmp_path / "url"),
        "ELASTIC_URL": sink.url,
        "ELASTIC_API_KEY_FILE": str(tmp_path / "key"),
        "ELASTIC_CA_CERTS": papers.ca,
        "ELASTIC_CLIENT_CERT": cert,
        "ELASTIC_CLIENT_KEY": key,
    }
    return env


@pytest.mark.slow(reason="secrets change while a worker runs, three times")
@pytest.mark.usefixtures("secured")
def test_it_delivers_and_follows_changed_secrets_without_a_restart(
    database: TlsPostgres,
    sink: Front,
    papers: Papers,
    engine: Elasticsearch,
    index: str,
    cli: Cli,
    worker: Callable[..., Worker],
    tmp_path: Path,
) -> None:
    cli.ok("db", "upgrade")
    with psycopg.connect(database.url("worker", "one-password"), autocommit=True) as own:
        seen = "SELECT ssl, client_dn LIKE '%CN=worker' FROM pg_stat_ssl WHERE pid = pg_backend_pid()"
        assert own.execute(seen.encode()).fetchall() == [(True, True)]
        scene = Scene(own, engine, index)
        scene.load(300)
        running = worker(OUTBOX_BASE_BACKOFF_SECONDS="0.05", OUTBOX_MAX_BACKOFF_SECONDS="0.1")
        scene.finished_by(running, 300)

        sink.lets_in = {f"ApiKey {KEYS[1]}"}
        eventually(lambda: blames(running, "sink", "auth"), what="the old key refused")
        (tmp_path / "key").write_text(KEYS[1])
        eventually(lambda: ready(running), what="the new key taken up")

        database.run("ALTER ROLE worker PASSWORD 'another-password'")
        database.run(f"SELECT pg_terminate_backend(pid) {OURS}")
        eventually(lambda: blames(running, "database", "password"), what="the old password refused")
        (tmp_path / "url").write_text(database.url("worker", "another-password"))
        eventually(lambda: ready(running), what="the new password taken up")
        scene.load(200)
        scene.holds(500)

        sink.context = papers.server(asks=papers.ca, days=(-3, -1))
        sink.hang_up()
        eventually(lambda: blames(running, "sink", "tls"), what="the expired certificate refused")
        log = running.log.read_text()
        assert EXPIRED in log
        for secret in (*KEYS, "one-password", "another-password"):
            assert secret not in log

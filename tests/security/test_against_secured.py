"""Labs on a staging system whose sink takes only https, a client certificate and an API key."""

import json
from pathlib import Path

import psycopg
import pytest
from elasticsearch import Elasticsearch

from drills.labs.conftest import left
from processes import Cli
from servers import Servers
from tls import Front, Papers

KEY = "czNjcmV0LWtleQ"


@pytest.mark.slow(reason="runs labs")
def test_labs_on_a_secured_system(
    env: dict[str, str],
    servers: Servers,
    papers: Papers,
    sql: psycopg.Connection,
    engine: Elasticsearch,
    index: str,
    tmp_path: Path,
) -> None:
    (tmp_path / "key").write_text(KEY)
    cert, key = papers.issue("staging")
    front = Front(servers.sink, papers.server(asks=papers.ca), lets_in={f"ApiKey {KEY}"})
    with front.open():
        secured = env | {
            "ELASTIC_URL": front.url,
            "ELASTIC_CA_CERTS": papers.ca,
            "ELASTIC_CLIENT_CERT": cert,
            "ELASTIC_CLIENT_KEY": key,
            "ELASTIC_API_KEY_FILE": str(tmp_path / "key"),
            "OUTBOX_ENV": "test",
            "OUTBOXCTL_STATE": str(tmp_path / "state"),
        }
        labs = ("bad-op", "es-429")
        done = Cli(secured, tmp_path)("lab", "run", *labs, "--against", "--yes", "--json", timeout=200)
    assert done.returncode == 0, done.stdout + done.stderr
    verdicts = {record["lab"]: record["verdict"] for record in json.loads(done.stdout)["records"]}
    assert verdicts == dict.fromkeys(labs, "OK")
    assert left(sql, engine, index) == []
    for file in (path for path in tmp_path.rglob("*") if path.is_file() and path.name != "key"):
        assert KEY not in file.read_text(errors="replace"), file

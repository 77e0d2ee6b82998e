"""pgsync installed apart, and what it is told: its schema by its documentation, settings that suit it."""

import json
import os
import subprocess
import venv
from pathlib import Path
from urllib.parse import urlsplit

from benchmarks.servers import STATE
from outboxctl.core.schema.names import SOURCE
from outboxctl.drills.bench.rig import Rig
from outboxctl.net.urls import check_database_url

VERSION = "7.3.0"
NAME = "peers-pgsync"
HOME = STATE.with_name("peers") / f"pgsync-{VERSION}"
COLUMNS = [
    *("id", "entity_type", "entity_id", "library_id", "text", "snippet", "rank_score", "event_version"),
    *("created_at", "updated_at"),
]
# Against its defaults: bodies are not compressed, which costs more than it saves on one machine; smaller
# requests and larger reads of its queue, which were the quickest of those tried; less said meanwhile.
SETTINGS = {
    "ELASTICSEARCH_HTTP_COMPRESS": "false",
    "ELASTICSEARCH_CHUNK_SIZE": "1000",
    "REDIS_READ_CHUNK_SIZE": "5000",
    "REDIS_WRITE_CHUNK_SIZE": "5000",
    "LOG_INTERVAL": "5",
    "GENERAL_LOGGING_LEVEL": "WARNING",
}


def install() -> None:
    """Into an environment of its own, once. CalledProcessError where pip cannot."""
    python = str(HOME / "bin" / "python")
    if (HOME / "bin" / "pgsync").exists():
        return
    venv.create(HOME, with_pip=True, clear=True)
    pip = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, f"pgsync=={VERSION}"], check=True, timeout=300)


def environment(rig: Rig, redis_port: int) -> dict[str, str]:
    """Where everything is; nothing else of ours."""
    return {
        "PATH": os.environ["PATH"],
        "PG_URL": check_database_url(rig.settings.require_database_url()),
        "ELASTICSEARCH_URL": rig.settings.elastic_url.get_secret_value(),
        "REDIS_HOST": "127.0.0.1",
        "REDIS_PORT": str(redis_port),
    }


def write_schema(folder: Path, database_url: str) -> None:
    """One table, one document a row, the columns that outboxctl sends."""
    nodes = {"table": SOURCE, "columns": COLUMNS}
    schema = [{"database": urlsplit(database_url).path.lstrip("/"), "index": NAME, "nodes": nodes}]
    (folder / "schema.json").write_text(json.dumps(schema))

"""A worker starts quickly because it loads no more than a claim needs."""

import re
import subprocess
from pathlib import Path

from processes import OUTBOXCTL

# The sink's client is loaded for the first batch; the others belong to other commands.
NOT_NEEDED = {
    "elasticsearch",
    "elastic_transport",
    "urllib3",
    "sqlalchemy",
    "alembic",
    "textual",
    "jinja2",
    "psutil",
}


def test_a_worker_that_finds_nothing_due_has_loaded_no_more_than_a_claim_needs(
    env: dict[str, str], tmp_path: Path
) -> None:
    python, *args = OUTBOXCTL
    command = [python, "-X", "importtime", *args, "worker", "--drain"]
    done = subprocess.run(
        command, env=env, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr[-2_000:]
    loaded = set(re.findall(r"^import time: .*\| +(\w+)", done.stderr, re.MULTILINE))
    assert "psycopg" in loaded, "the list of modules can be read"
    assert loaded & NOT_NEEDED == set()

"""The bill of materials lists what runs, with the hashes of the lock file, and no tool of development."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.no_servers
ROOT = Path(__file__).parents[2]


@pytest.mark.slow(reason="it asks for every distribution that is installed")
def test_it_holds_what_runs_and_nothing_else() -> None:
    command = [sys.executable, "deploy/sbom.py"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    bill = json.loads(done.stdout)
    names = {each["name"] for each in bill["components"]}
    # Direct, of an extra, and what is needed only by those.
    assert names >= {"psycopg", "psycopg-binary", "elasticsearch", "urllib3", "noida-db", "mako"}
    assert not names & {"pytest", "mypy", "ruff", "trustme", "cryptography", "mkdocs"}
    assert bill["metadata"]["component"]["name"] == "outboxctl"
    assert bill["metadata"]["component"]["version"]
    lock = (ROOT / "requirements.lock").read_text()
    for each in bill["components"]:
        assert f"{each['name']}=={each['version']}" in lock
        hashes = [h["content"] for r in each["externalReferences"] for h in r.get("hashes", [])]
        assert hashes, each["name"]
        assert all(digest in lock for digest in hashes)

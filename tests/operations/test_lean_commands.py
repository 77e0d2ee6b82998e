"""What a person starts by hand starts quickly, because it loads no more than it uses."""

import os
import re
import subprocess
from pathlib import Path

import pytest

from processes import OUTBOXCTL

# Of the migrations; of another command; of a sink, which is asked for nothing.
NEVER = {"alembic", "mako", "jinja2", "psutil", "structlog", "prometheus_client"}
NEVER |= {"urllib3", "elasticsearch", "elastic_transport", "opensearchpy", "markdown_it", "pygments"}
OF_HELP = {"markdown_it", "pygments"}  # rich draws it with them
OF_A_DATABASE = {"sqlalchemy", "psycopg"}
READING = [["status"], ["status", "--json"], ["stuck"], ["oldest"], ["failed", "list"], ["audit"]]


def loaded(args: list[str], env: dict[str, str], folder: Path) -> set[str]:
    """The names of all modules that the command loads."""
    python, *start = OUTBOXCTL
    command = [python, "-X", "importtime", *start, *args]
    done = subprocess.run(
        command, env=env, cwd=folder, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr[-2_000:]
    names = set(re.findall(r"^import time: .*\| +([\w.]+)$", done.stderr, re.MULTILINE))
    assert "outboxctl.cli.app" in names, "the list of modules can be read"
    return names


def packages(names: set[str]) -> set[str]:
    return {name.partition(".")[0] for name in names}


@pytest.mark.no_servers
def test_the_help_loads_the_commands_but_not_what_they_use(tmp_path: Path) -> None:
    kept = {name: os.environ[name] for name in ("PATH", "PYTHONPATH") if name in os.environ}
    assert packages(loaded(["--help"], kept, tmp_path)) & (NEVER | OF_A_DATABASE) - OF_HELP == set()


@pytest.mark.parametrize("args", READING, ids=" ".join)
def test_a_command_that_reads_the_database_loads_what_it_uses(
    args: list[str], env: dict[str, str], tmp_path: Path
) -> None:
    names = loaded(args, env, tmp_path)
    assert packages(names) >= OF_A_DATABASE
    assert packages(names) & NEVER == set()
    others = {"outboxctl.worker", "outboxctl.drills", "outboxctl.sink"}
    assert names & others == set()

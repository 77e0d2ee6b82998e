"""What a person starts by hand starts quickly, because it loads no more than it uses."""

import json
import os
import re
import subprocess
from pathlib import Path

import pytest
import typer

from outboxctl.cli.app import FIRST_SENTENCES, app
from outboxctl.cli.options import FullHelpGroup
from processes import OUTBOXCTL

# Of the migrations; of another command; of a sink, which is asked for nothing.
NEVER = {"sqlalchemy", "alembic", "mako", "textual", "jinja2", "psutil", "structlog", "prometheus_client"}
NEVER |= {"urllib3", "elasticsearch", "elastic_transport", "opensearchpy", "markdown_it", "pygments"}
# Of reading anything: settings, the database, tables for people.
FOR_HELP = NEVER | {"pydantic", "pydantic_settings", "psycopg", "psycopg_binary", "rich", "dotenv", "asyncio"}
HELP = [["--help"], ["-h"]]
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
@pytest.mark.parametrize("args", HELP, ids=" ".join)
def test_the_list_of_commands_loads_none_of_them(args: list[str], tmp_path: Path) -> None:
    kept = {name: os.environ[name] for name in ("PATH", "PYTHONPATH") if name in os.environ}
    names = loaded(args, kept, tmp_path)
    assert packages(names) & FOR_HELP == set()
    own = {name for name in names if name.startswith("outboxctl.")}
    assert {name for name in own if name.startswith("outboxctl.cli.")} <= {
        "outboxctl.cli.app",
        "outboxctl.cli.ending",
        "outboxctl.cli.options",
    }
    assert not [name for name in own if name.startswith(("outboxctl.core", "outboxctl.settings"))]


@pytest.mark.parametrize("args", READING, ids=" ".join)
def test_a_command_that_reads_the_database_loads_what_it_uses(
    args: list[str], env: dict[str, str], tmp_path: Path
) -> None:
    names = loaded(args, env, tmp_path)
    assert "psycopg" in packages(names)
    assert packages(names) & NEVER == set()
    others = {"outboxctl.worker", "outboxctl.drills", "outboxctl.sink", "outboxctl.cli.top.app"}
    assert names & others == set()


@pytest.mark.no_servers
def test_the_list_of_commands_says_what_each_command_says_of_itself() -> None:
    """Their help is written down, so that no command is loaded to be listed."""
    program = typer.main.get_command(app)
    assert isinstance(program, FullHelpGroup)
    by_themselves = FullHelpGroup.first_sentences(program)
    assert list(program.first_sentences().items()) == list(by_themselves.items()), "run `make docs`"
    assert json.loads(FIRST_SENTENCES.read_text()) == by_themselves

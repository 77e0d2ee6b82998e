"""The examples for CI are YAML, and what they run exists."""

import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml

from outboxctl.cli.app import app

pytestmark = pytest.mark.no_servers
CI = Path(__file__).parents[2] / "docs" / "labs" / "ci"


def scripts(name: str) -> list[str]:
    """Every script of an example."""
    read = yaml.safe_load((CI / name).read_text())
    if name == "compose.yml":
        return [service["command"][-1] for service in read["services"].values() if "command" in service]
    return [step["run"] for step in read["jobs"]["labs"]["steps"] if "run" in step]


def options(words: list[str]) -> tuple[str, set[str]]:
    """The name of the command that these words call, and the options that it takes."""
    command: Any = typer.main.get_command(app)
    while words and words[0] in getattr(command, "commands", {}):
        command = command.commands[words.pop(0)]
    return command.name, {flag for given in command.params for flag in given.opts}


@pytest.mark.parametrize("name", ["github-actions.yml", "compose.yml"])
def test_the_commands_exist(name: str) -> None:
    lines = re.findall(r"^outboxctl (.+)$", "\n".join(scripts(name)), re.MULTILINE)
    assert any(line.startswith("lab run all") for line in lines)
    for line in lines:
        words = shlex.split(line)
        command, known = options(words)
        assert command == "run"
        assert {word for word in words if word.startswith("--")} <= known


def test_the_workflow_keeps_the_evidence_of_a_failed_run() -> None:
    steps = yaml.safe_load((CI / "github-actions.yml").read_text())["jobs"]["labs"]["steps"]
    upload = next(step for step in steps if "upload-artifact" in step.get("uses", ""))
    assert upload["if"] == "always()"
    assert upload["with"]["path"] in scripts("github-actions.yml")[1]

"""Who is woken finds a page, whole, and every command on it is one that there is."""

import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import typer

from outboxctl.cli.app import app
from outboxctl.drills.labs.catalogue import LABS
from outboxctl.metrics.alerts.model import AlertLimits
from outboxctl.metrics.alerts.table import alerts

pytestmark = pytest.mark.no_servers
RUNBOOK = Path(__file__).parents[2] / "docs" / "runbook"
PAGES = sorted(page for page in RUNBOOK.glob("*.md") if page.name != "README.md")
HEADINGS = ["Meaning", "First look", "Likely causes", "Commands", "Prove that it is over"]
ALERTS = {alert.page: alert for alert in alerts(AlertLimits())}
# In a block a command ends with its line or at the shell's next word; in a text with its quote.
IN_BLOCK = re.compile(r"^outboxctl (.+?)(?: (?:\||>|\|\|) .*)?$", re.MULTILINE)
IN_TEXT = re.compile(r"`outboxctl ([^`]+)`")
BLOCK = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)


def test_each_alert_has_its_page_and_each_page_its_alert() -> None:
    assert {page.stem for page in PAGES} == set(ALERTS)
    listed = re.findall(r"\((outbox-[a-z-]+)\.md\)", (RUNBOOK / "README.md").read_text())
    assert sorted(listed) == sorted(ALERTS)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_page_is_whole(page: Path) -> None:
    text = page.read_text()
    assert text.startswith(f"# {ALERTS[page.stem].name}\n")
    assert re.findall(r"^## (.+)$", text, re.MULTILINE) == HEADINGS
    parts = re.split(r"^## .+$", text, flags=re.MULTILINE)[1:]
    assert all(part.strip() for part in parts)
    for part in (parts[1], parts[3], parts[4]):
        assert "```bash\n" in part, "what to type"


@pytest.mark.parametrize("page", [RUNBOOK / "README.md", *PAGES], ids=lambda page: page.stem)
def test_every_command_exists_with_its_options(page: Path) -> None:
    text = page.read_text()
    blocks = "\n".join(BLOCK.findall(text))
    named = IN_BLOCK.findall(blocks) + IN_TEXT.findall(BLOCK.sub("", text))
    assert named
    for command in named:
        check(command)


@pytest.mark.parametrize("alert", alerts(AlertLimits()), ids=lambda alert: f"{alert.name}-{alert.severity}")
def test_what_an_alert_says_to_do_first_exists(alert: Any) -> None:
    for command in IN_TEXT.findall(alert.first):
        check(command)


def check(text: str) -> None:
    """Fails unless this is a command, its options are its own, and a lab it names is there."""
    words, command, path = shlex.split(text), typer.main.get_command(app), []
    while words and words[0] in getattr(command, "commands", {}):
        path.append(words.pop(0))
        command = command.commands[path[-1]]  # type: ignore[attr-defined]
    assert path, text
    known = {name for parameter in command.params for name in (*parameter.opts, *parameter.secondary_opts)}
    assert {word for word in words if word.startswith("--")} <= known, text
    if path == ["lab", "run"] and words != ["NAME"]:
        assert set(words) <= {lab.name for lab in LABS}, text
    if not any(parameter.param_type_name == "argument" for parameter in command.params):
        assert not words or words[0].startswith("--"), text

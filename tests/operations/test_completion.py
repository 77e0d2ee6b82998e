"""Tab in the real shells: reasons, ids and entity types, quickly, and never something to evaluate."""

import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from time import monotonic

import pytest

from acceptance import lab
from outboxctl.domain.failures import Reason
from processes import OUTBOXCTL, Cli, eventually

BASH = """
eval "$(_OUTBOXCTL_COMPLETE=source_bash outboxctl)"
COMP_WORDS=(outboxctl "$@"); COMP_CWORD=$#
_outboxctl_completion outboxctl
printf '%s\\n' "${COMPREPLY[@]}"
"""
# What compinit and _arguments would do is the shell's own; here they say what they were given.
ZSH = """
compdef() { :; }; _files() { :; }
_arguments() { eval "offered=( ${${1#*\\(\\(}%\\)\\)} )"; print -l -- ${(Q)offered%%:*}; }
eval "$(_OUTBOXCTL_COMPLETE=source_zsh outboxctl)"
words=(outboxctl "$@"); CURRENT=$(( $# + 1 ))
_outboxctl_completion
"""
FISH = """
_OUTBOXCTL_COMPLETE=source_fish outboxctl | source
complete --do-complete "outboxctl $argv" | string split --fields 1 \\t
"""
SHELLS = {
    "bash": ["bash", "--norc", "-c", BASH, "bash"],
    "zsh": ["zsh", "-f", "-c", ZSH, "zsh"],
    "fish": ["fish", "--no-config", "-c", FISH],
}
Tab = Callable[..., list[str]]


@pytest.fixture(params=SHELLS)
def tab(request: pytest.FixtureRequest, env: dict[str, str], tmp_path: Path) -> Tab:
    """Press Tab after these words, the last of which is half typed; returns what is offered."""
    if not shutil.which(request.param):
        pytest.skip(f"{request.param} is not installed")
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"

    def press(*words: str, **extra: str) -> list[str]:
        done = subprocess.run(
            [*SHELLS[request.param], *words],
            env=env | {"PATH": path} | extra,
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=20,
            check=False,
        )
        assert done.stderr == ""
        return done.stdout.split()

    return press


def offers(tab: Tab, wanted: set[str], *words: str) -> None:
    """Tab offers exactly this; on a busy machine it may give up first, and is pressed again."""
    eventually(lambda: set(tab(*words)) == wanted, what=f"{' '.join(words)}: {wanted}")


def test_commands_options_and_reasons_are_offered(tab: Tab) -> None:
    assert "status" in tab("sta")
    assert "--error-reason" in tab("replay", "--error")
    assert tab("replay", "--error-reason", "ma") == [Reason.MAPPING]
    assert tab("replay", "--error-reason", "non") == ["none"]
    assert set(tab("failed", "discard", "--error-reason", "")) >= set(Reason)


@pytest.mark.slow(reason="each tab in a real shell starts a process")
def test_causes_and_acts_are_offered_where_they_are_asked_for(tab: Tab, sql: lab.Sql, cli: Cli) -> None:
    for number in range(4):
        event = lab.event(sql, lab.put(sql)[0], status="failed")
        sql.execute(
            "UPDATE search_outbox_events SET error_reason = 'mapping', error = %s WHERE id = %s",
            [("wrong", "bad")[number % 2], event],
        )
    causes = {group["fingerprint"] for group in cli.json("failed", "list")["groups"]}
    assert len(causes) == 2
    offers(tab, causes, "failed", "list", "--fingerprint", "")
    offers(tab, {min(causes)}, "replay", "--fingerprint", min(causes)[:8])
    act = cli.json("replay", "--by", "a", "--reason", "b", "--limit", "1")["audit_id"]
    closed = cli.json("failed", "discard", "--by", "a", "--reason", "b", "--limit", "1")["audit_id"]
    offers(tab, {act}, "failed", "undo", "")
    offers(tab, {act, closed}, "audit", "--id", "")


def test_hostile_names_are_not_offered(tab: Tab, sql: lab.Sql, tmp_path: Path) -> None:
    for kind in (
        "a$(touch gone)",
        "a\\$(touch gone)",
        "a`touch gone`",
        "a';touch gone;'",
        "a\x1b[31m",
        "a b",
    ):
        lab.event(sql, lab.put(sql)[0], kind=kind, status="failed")
    lab.event(sql, lab.put(sql)[0], kind="a-good_one", status="failed")
    offers(tab, {"a-good_one"}, "replay", "--entity-type", "a")
    assert not (tmp_path / "gone").exists()


def test_a_silent_database_is_not_waited_for(env: dict[str, str], tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        asked = env | {"DATABASE_URL": f"postgresql://127.0.0.1:{silent.getsockname()[1]}/x"}
        asked |= {"_OUTBOXCTL_COMPLETE": "complete_bash"}
        times = []
        for words, word in (("outboxctl replay --error-reason ma", "3"), ("outboxctl replay --id ", "3")):
            began = monotonic()
            done = subprocess.run(
                OUTBOXCTL,
                env=asked | {"COMP_WORDS": words, "COMP_CWORD": word},
                cwd=tmp_path,
                capture_output=True,
                text=True,
                timeout=20,
                check=False,
            )
            times.append(monotonic() - began)
            assert done.stderr == ""
    assert times[1] - times[0] < 4, "a shell waits for the database: to connect alone may take five seconds"

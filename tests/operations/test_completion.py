"""Tab in the real shells: commands, options and reasons."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from outboxctl.domain.failures import Reason

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


@pytest.mark.slow(reason="starts each shell")
def test_commands_options_and_reasons_are_offered(tab: Tab) -> None:
    assert "status" in tab("sta")
    assert "--error-reason" in tab("replay", "--error")
    assert tab("replay", "--error-reason", "ma") == [Reason.MAPPING]
    assert tab("replay", "--error-reason", "non") == ["none"]
    assert set(tab("failed", "discard", "--error-reason", "")) >= set(Reason)

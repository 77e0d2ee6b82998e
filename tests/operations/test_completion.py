"""Tab in a real shell: commands, options and reasons."""

import os
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
Tab = Callable[..., list[str]]


@pytest.fixture
def tab(env: dict[str, str], tmp_path: Path) -> Tab:
    """Press Tab after these words, the last of which is half typed; returns what is offered."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"

    def press(*words: str, **extra: str) -> list[str]:
        done = subprocess.run(
            ["bash", "--norc", "-c", BASH, "bash", *words],
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


def test_commands_options_and_reasons_are_offered(tab: Tab) -> None:
    assert "status" in tab("sta")
    assert "--error-reason" in tab("replay", "--error")
    assert tab("replay", "--error-reason", "ma") == [Reason.MAPPING]
    assert tab("replay", "--error-reason", "non") == ["none"]
    assert set(tab("failed", "discard", "--error-reason", "")) >= set(Reason)

"""The blocks of the page about writing events, copied out and run in order on a fresh database."""

import os
import re
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest

PAGE = Path(__file__).parents[2] / "docs" / "producing.md"
BLOCK = re.compile(r"^```(bash|python|sql)\n(.*?)^```", re.MULTILINE | re.DOTALL)


@pytest.fixture
def shell(env: dict[str, str], empty_url: str) -> dict[str, str]:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return env | {"DATABASE_URL": empty_url, "PATH": path}


def test_every_block_runs(shell: dict[str, str], tmp_path: Path) -> None:
    blocks = BLOCK.findall(PAGE.read_text())
    assert len(blocks) >= 5
    for language, text in blocks:
        if language == "sql":
            with psycopg.connect(shell["DATABASE_URL"], autocommit=True) as connection:
                connection.execute(text)
            continue
        command = (
            ["bash", "-euo", "pipefail", "-c", text] if language == "bash" else [sys.executable, "-c", text]
        )
        done = subprocess.run(
            command, env=shell, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False
        )
        assert done.returncode == 0, f"{text}\n{done.stdout}\n{done.stderr}"

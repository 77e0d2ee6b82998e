"""The example that needs no system of one's own, run as it stands."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from processes import environment

pytestmark = pytest.mark.no_servers
PAGE = Path(__file__).parents[2] / "docs" / "bench.md"


def test_the_example_runs(tmp_path: Path) -> None:
    (block,) = re.findall(r"^```bash\n(.*?)^```", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    env = environment(OUTBOXCTL_STATE=str(tmp_path / "state")) | {"PATH": path}
    command = ["bash", "-euo", "pipefail", "-c", block]
    done = subprocess.run(
        command, env=env, cwd=tmp_path, capture_output=True, text=True, timeout=200, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "The sink takes" in done.stdout
    assert {each.name for each in (tmp_path / "figures").iterdir()} == {"bench.json", "bench.md", "bench.svg"}

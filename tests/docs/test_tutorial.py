"""The tutorial, copied out and run in order from an empty home folder, on servers that it starts itself.

Only ports are others than on the page, for those of the page may be in use here.
"""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from docs.blocks import Block, blocks
from outboxctl.drills import services
from processes import environment

pytestmark = pytest.mark.no_servers
PAGE = Path(__file__).parents[2] / "docs" / "tutorial.md"
BLOCK = re.compile(r"^```bash\n(.*?)^```", re.MULTILINE | re.DOTALL)
MARK = "@@@"
# What the reader is to see beside the outputs of the page, by the number of the block.
SAID = {
    3: ["triggers: on shop.categories, shop.products, shop.reviews", "Lag: 1 event,"],
    6: ["added in place to products-000001: color", '"color": "black"', "the same in the index"],
    7: ["connect", "exit code 4"],
    8: ["2 would go back", "2 went back", "by alice", "Both sides agree."],
    9: ["Verdict: OK"],
    11: ['"ready": true', "OUTBOX OK", "outbox_processed_total"],
}


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path
    services.down(tmp_path / ".local" / "state" / "outboxctl", purge=True)


def copied_out(metrics: str) -> str:
    """All blocks of the page as one script, each begun by a line that says which it is."""
    text = "".join(f"echo {MARK}\n{block}" for block in BLOCK.findall(PAGE.read_text()))
    ports = f"--postgres-port {services.fresh_port()} --search-port {services.fresh_port()}"
    return text.replace("services up", f"services up {ports}").replace(":9108/", f":{metrics}/")


@pytest.mark.slow(reason="runs a whole tutorial on servers of its own")
def test_every_command_does_what_the_page_says(home: Path) -> None:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    # What is downloaded once is kept; all else is made anew.
    cache = os.environ.get("OUTBOXCTL_CACHE", str(Path.home() / ".cache" / "outboxctl"))
    port = str(services.fresh_port())
    env = environment(PATH=path, HOME=str(home), OUTBOXCTL_CACHE=cache, OUTBOX_METRICS_PORT=port)
    command = ["bash", "-euo", "pipefail", "-c", copied_out(port)]
    done = subprocess.run(
        command, env=env, cwd=home, capture_output=True, text=True, timeout=400, check=False
    )
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    said = done.stdout.split(f"{MARK}\n")[1:]
    missing = {block: [words for words in SAID[block] if words not in said[block]] for block in SAID}
    assert not any(missing.values()), done.stdout
    assert not [line for number, block in outputs() for line in block.unsaid(said[number])], done.stdout
    (shown,) = (block for block in blocks(PAGE) if block.language == "json")
    assert sources(said[4]) == sources(shown.text)
    assert [json.loads(each)["name"] for each in sources(said[5])] == ["Frying pan", "Stock pot", "Stock pot"]
    assert "differs" not in said[6]


def outputs() -> Iterator[tuple[int, Block]]:
    """Each output that the page shows, by the number of the block that says it."""
    number = -1
    for block in blocks(PAGE):
        number += block.runs
        if block.output:
            yield number, block


def sources(said: str) -> list[str]:
    """The documents, or names, that searches found."""
    return sorted(re.findall(r'"_source":({.*?})}', said))

"""Pages about writing events and about moving here: their blocks, run in order in one shell."""

import os
import re
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest

DOCS = Path(__file__).parents[2] / "docs"
BLOCK = re.compile(r"^```(bash|python|sql)\n(.*?)^```", re.MULTILINE | re.DOTALL)
RUN = {"sql": 'psql -v ON_ERROR_STOP=1 -f - "${{DATABASE_URL/+psycopg/}}" < {}', "python": "python {}"}
ROWS = """
INSERT INTO search_index (entity_type, entity_id, text, snippet, event_version)
SELECT 'block', gen_random_uuid(), 'some text', 'some', 1 FROM generate_series(1, 3);
INSERT INTO search_outbox_events (entity_type, entity_id, op, event_version)
SELECT entity_type, entity_id, 'upsert', 1 FROM search_index;
"""


def script(page: Path, folder: Path) -> str:
    """All blocks of a page in their order; those that are no shell's are files that it runs."""
    lines = []
    for number, (language, text) in enumerate(BLOCK.findall(page.read_text())):
        file = folder / f"{number}.{language}"
        file.write_text(text)
        lines.append(text if language == "bash" else RUN[language].format(file))
    return "\n".join(lines)


@pytest.mark.parametrize(
    "name", ["producing.md", *(f"migrate/{p.name}" for p in (DOCS / "migrate").glob("*.md"))]
)
def test_every_block_runs(name: str, env: dict[str, str], tmp_path: Path) -> None:
    with psycopg.connect(env["DATABASE_URL"], autocommit=True) as connection:
        connection.execute(ROWS)
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    command = ["bash", "-euo", "pipefail", "-c", script(DOCS / name, tmp_path)]
    done = subprocess.run(
        command,
        env=env | {"PATH": path},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    assert "Both sides agree." in done.stdout or name == "producing.md"

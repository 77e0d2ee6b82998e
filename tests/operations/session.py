"""An engineer's session on call, recorded in a terminal of 80 columns: `make transcript` writes the page.

The commands are real, and so are both servers. What differs from one recording to the next (times,
random ids, the index's name) gives way to something fixed of the same width.
"""

import re
import shutil
import subprocess
import sys
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psycopg
from elasticsearch import Elasticsearch

import servers
from operations.recorders import Record, by_pty, by_tmux
from operations.stage import name, set_up
from outboxctl.core.database import Database
from outboxctl.core.schema.migrations import upgrade
from outboxctl.drills import services
from outboxctl.sink.index.index_setup import ensure
from processes import OUTBOXCTL, environment
from sinks import client_of

PAGE = Path(__file__).parents[2] / "docs" / "operators-desk" / "session.md"
AUDIT = re.compile(r"^Audit ([0-9a-f-]{36})$", re.MULTILINE)
INTRODUCTION = """\
# A session on call

<!-- Recorded by `make transcript`; a test records it again and compares. -->

Recorded in tmux, 80 columns wide. Times and random ids are replaced by fixed ones.
"""


@dataclass(frozen=True)
class Scene:
    """What is said, what is typed then, and whether a worker had delivered what was due before."""

    said: str
    typed: str
    delivered: bool = False


STORY = (
    Scene(
        "Monitoring runs `check`, here without a failed event allowed, and it complains.",
        "outboxctl check --max-failed 0; echo exit $?",
    ),
    Scene("Where do we stand?", "outboxctl status"),
    Scene("What failed, by cause:", "outboxctl failed list"),
    Scene("One event of the largest group, its row and its document:", "outboxctl failed show {event}"),
    Scene(
        "The sink is back. What would a replay of what could not connect do?",
        "outboxctl replay --error-reason connect --by alice --reason 'sink is back' --dry-run",
    ),
    Scene(
        "Exactly that, then.",
        "outboxctl replay --error-reason connect --by alice --reason 'sink is back'",
    ),
    Scene(
        "A worker delivers them. Then those whose rows held a word in place of a number:",
        "outboxctl replay --fingerprint bdf66b --by alice --reason 'rows mended'",
        delivered=True,
    ),
    Scene(
        "Somebody says that they are not mended yet. What no worker has taken goes back:",
        "outboxctl replay undo {audit} --by alice --reason 'too early'",
    ),
    Scene(
        "Now they are mended.",
        "outboxctl replay --fingerprint bdf66b --by alice --reason 'rows mended' | grep match",
    ),
    Scene(
        "One event was never meant to be:",
        "outboxctl failed discard --error-reason deterministic_exception --by alice --reason typo",
        delivered=True,
    ),
    Scene("Who did what, for whoever comes on call next:", "outboxctl audit"),
    Scene("Does the index say what the database says?", "outboxctl verify"),
    Scene("And monitoring?", "outboxctl check --max-failed 0; echo exit $?"),
)


@dataclass
class Stage:
    """A database and an index with what the engineer finds, and the environment of the terminal."""

    env: dict[str, str]
    cwd: Path
    random: dict[str, str] = field(default_factory=dict)

    def deliver(self) -> None:
        """Let a worker deliver what is due."""
        command = [*OUTBOXCTL, "worker", "--drain", "--metrics-port", str(services.fresh_port())]
        subprocess.run(command, env=self.env, cwd=self.cwd, capture_output=True, timeout=60, check=True)

    def page(self, record: Record) -> str:
        """The whole session in Markdown; `record` runs a command and returns what the terminal shows."""
        parts, shown = [INTRODUCTION], ""
        for scene in STORY:
            if scene.delivered:
                self.deliver()
            audit = AUDIT.findall(shown)
            command = scene.typed.format(event=name("event", 140), audit=audit[-1] if audit else "")
            shown = "\n".join(record(command)).strip("\n")
            parts.append(f"{scene.said}\n\n```console\n$ {command}\n{shown}\n```\n")
        return self._fixed("\n".join(parts))

    def _fixed(self, text: str) -> str:
        text = text.replace(self.env["ELASTIC_INDEX"], "search-pages-1")
        text = re.sub(r"20\d\d-\d\d-\d\d([ T])\d\d:\d\d:\d\d", r"2026-02-03\g<1>10:00:00", text)
        text = re.sub(r"\b\d\.\d s\b", "0.1 s", text)
        return re.sub(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}", self._renamed, text)

    def _renamed(self, match: re.Match[str]) -> str:
        return self.random.setdefault(match.group(), str(uuid.UUID(int=(len(self.random) + 1) << 96)))


@contextmanager
def staged(both: servers.Servers, cwd: Path) -> Iterator[Stage]:
    """A stage of its own on these servers."""
    url = servers.new_database(both.postgres)
    index = f"t-{uuid.uuid4().hex[:12]}"
    path = f"{Path(sys.executable).parent}:{environment()['PATH']}"
    stage = Stage(environment(DATABASE_URL=url, ELASTIC_URL=both.sink, ELASTIC_INDEX=index, PATH=path), cwd)
    db, engine = Database(url), Elasticsearch(both.sink)
    try:
        upgrade(db, None)
        ensure(client_of(engine), index)
        with psycopg.connect(url, autocommit=True) as sql:
            set_up(sql, stage.deliver)
        yield stage
    finally:
        db.close()
        engine.options(ignore_status=404).indices.delete(index=f"{index}-000001")
        engine.close()
        servers.drop_database(both.postgres, url)


def main() -> None:
    """Write the page; without tmux a pseudo terminal shows the same."""
    recorder = by_tmux if shutil.which("tmux") else by_pty
    with (
        servers.started() as both,
        staged(both, Path.cwd()) as stage,
        recorder(stage.env, stage.cwd) as record,
    ):
        PAGE.write_text(stage.page(record))


if __name__ == "__main__":
    main()

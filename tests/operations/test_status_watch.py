"""`status --watch` stays in its place and outlives its database."""

import re
import signal
from pathlib import Path

import psycopg

from fakes.postgres_proxy import Proxy
from operations.terminal import LINES, Terminal
from processes import eventually
from scene import Scene

CROWD = """
INSERT INTO outbox_workers
SELECT gen_random_uuid(), 'a-worker-with-a-long-name:' || n, 'a-host-with-a-long-name', n, '1', now(), now(),
    0, 'count', false, 1, 1
FROM generate_series(1, 30) n
"""


def test_it_is_redrawn_in_its_place_and_waits_for_a_database_that_is_away(
    env: dict[str, str], tmp_path: Path, sql: psycopg.Connection, scene: Scene, database_proxy: Proxy
) -> None:
    scene.load(30)
    sql.execute("UPDATE search_outbox_events SET status = 'failed', error_reason = md5(id::text)")
    scene.load(30)
    sql.execute(CROWD)
    given = {"TERM": "xterm-256color"} | env | {"DATABASE_URL": database_proxy.url}
    with Terminal(["status", "--watch", "0.2"], given, tmp_path) as terminal:
        shown = terminal.shows("Lag: 30 events")
        said = re.search(r"Workers \((\d+) of 30\)", "\n".join(shown))
        assert said
        states = re.findall(r"  (?:alive|silent|gone)\b", "\n".join(shown))  # on a slow machine they grow old
        assert len(states) == int(said[1]), "as many as fit, and no more"
        database_proxy.refuse()
        shown = terminal.shows("waiting: the database")
        assert "refused" in "".join(line.strip() for line in shown), "why, on 80 columns too"
        assert any("Lag: 30 events" in line for line in shown), "what was seen last stays"
        scene.load(12)
        database_proxy.heal()
        shown = terminal.shows("Lag: 42 events")
        assert max(map(len, shown)) <= 80
        terminal.process.send_signal(signal.SIGINT)
        eventually(terminal.ended, what="ended")
    assert terminal.process.returncode == 0
    before, _, after = terminal.written.partition("\x1b[?1049l")
    assert "Lag: 42 events" in after, "what was seen last stays on the terminal"
    assert {frame.count("\n") for frame in before.split("\x1b[H")[2:]} == {LINES - 1}, "nothing scrolls"
    assert "\x1b[2J" not in before, "nor flickers"


def test_on_a_dumb_terminal_one_look_stands_below_another(
    env: dict[str, str], tmp_path: Path, scene: Scene
) -> None:
    scene.load(3)
    with Terminal(["status", "--watch", "0.1"], env | {"TERM": "dumb"}, tmp_path) as terminal:
        eventually(lambda: terminal.read().count("Lag: 3 events") > 1, what="two looks")
        terminal.process.send_signal(signal.SIGINT)
        eventually(terminal.ended, what="ended")
        assert (terminal.process.returncode, "\x1b" in terminal.written) == (0, False)

"""The full-screen view on real data, in a terminal of 80 columns and 24 lines."""

import signal
from pathlib import Path

from acceptance import lab
from operations.every_command import RAW, haunt
from operations.watching import COLUMNS, Terminal
from processes import Cli, eventually

WORKING = """
INSERT INTO outbox_workers VALUES
    (gen_random_uuid(), %s, %s, 1, '1.0', now(), now(), %s, 'count', false, 905, %s)
"""


def fail(sql: lab.Sql, count: int, reason: str, error: str) -> None:
    for number in range(count):
        event = lab.event(sql, lab.put(sql)[0], status="failed")
        sql.execute(
            "UPDATE search_outbox_events SET error_reason = %s, error = %s, attempts = 3 WHERE id = %s",
            [reason, error.format(number), event],
        )


def test_figures_and_causes_are_those_of_status_and_failed_list(
    env: dict[str, str], tmp_path: Path, sql: lab.Sql
) -> None:
    fail(sql, 3, "mapping", "field [{}] is not a number")
    fail(sql, 2, "connect", "refused by 10.0.0.{}")
    with Terminal(env, tmp_path, "top", "--interval", "0.2") as terminal:
        shown = "\n".join(terminal.shows("refused by"))
        assert "Lag: 5 events" in shown
        assert "Failed: 5" in shown
        sql.execute(WORKING, ["w-1", "node-3", 7, 60.0])
        assert "w-1" in "\n".join(terminal.shows("in 905/s, out 60/s"))
        fail(sql, 4, "connect", "refused by 10.0.0.{}")
        lines = terminal.shows("Failed: 9")
        assert max(map(len, lines)) <= COLUMNS
        assert any(line.startswith("lag ") and "█" in line for line in lines), "the history"
        terminal.process.send_signal(signal.SIGINT)
        eventually(lambda: terminal.read() and terminal.process.poll() is not None, what="ended")
    assert terminal.process.returncode == 0


def test_hostile_text_is_shown_escaped(env: dict[str, str], tmp_path: Path, sql: lab.Sql) -> None:
    haunt(sql)
    with Terminal(env, tmp_path, "top", "--interval", "0.2") as terminal:
        shown = "\n".join(terminal.shows("\\x1b]0;evil"))
        assert not any(raw in shown for raw in RAW)


def test_without_a_terminal_it_refuses_and_says_what_works(cli: Cli) -> None:
    done = cli("top")
    assert (done.returncode, done.stdout) == (2, "")
    assert "status --watch" in done.stderr

"""The full-screen view on real data, driven by keys."""

import asyncio
import re
from collections.abc import Awaitable, Callable
from time import monotonic
from typing import Any

import psycopg
import pytest
from textual.pilot import Pilot
from textual.widgets import Static

from acceptance import lab
from operations.every_command import EVENT, RAW, haunt
from operations.terminal import show
from outboxctl.cli.top.app import Top
from outboxctl.cli.top.feed import Feed
from outboxctl.cli.top.screens import EventScreen, GroupScreen, Note, Rows
from outboxctl.settings import Settings
from processes import Cli

WORKING = """
INSERT INTO outbox_workers VALUES
    (gen_random_uuid(), %s, %s, 1, '1.0', now(), now(), %s, 'count', false, 905, %s)
"""
Keys = Callable[[Top, Pilot[Any]], Awaitable[None]]


def press(settings: Settings, keys: Keys, *, interval: float = 0.2, size: tuple[int, int] = (80, 24)) -> Top:
    """Open the view on a screen of this size and let `keys` drive it."""

    async def run() -> Top:
        feed = Feed(settings)
        top = Top(feed, feed.snapshot(), interval)
        async with top.run_test(size=size) as pilot:
            await keys(top, pilot)
        return top

    return asyncio.run(run())


async def until(pilot: Pilot[Any], check: Callable[[], Any]) -> None:
    end = monotonic() + 10
    while not check():
        assert monotonic() < end, "the screen never shows it"
        await pilot.pause(0.02)


def shown(top: Top) -> str:
    """The text on the screen as it is drawn."""
    lines = top.screen._compositor.render_strips()
    return "\n".join(strip.text for strip in lines)


def fail(sql: lab.Sql, count: int, reason: str, error: str) -> None:
    for number in range(count):
        event = lab.event(sql, lab.put(sql)[0], status="failed")
        sql.execute(
            "UPDATE search_outbox_events SET error_reason = %s, error = %s, attempts = 3 WHERE id = %s",
            [reason, error.format(number), event],
        )


def test_figures_and_causes_are_those_of_status_and_failed_list(
    settings: Settings, sql: lab.Sql, cli: Cli
) -> None:
    fail(sql, 3, "mapping", "field [{}] is not a number")
    fail(sql, 2, "connect", "refused by 10.0.0.{}")
    sql.execute(WORKING, ["w-1", "node-3", 7, 60.0])

    async def keys(top: Top, pilot: Pilot[Any]) -> None:
        await until(pilot, lambda: "refused" in shown(top))
        seen = shown(top)
        status = cli.json("status")
        assert f"lag {status['lag']}" in seen
        assert "failed 5" in seen
        assert "w-1 on node-3: 7 in flight, out 60/s" in seen
        names = [group["fingerprint"] for group in cli.json("failed", "list")["groups"]]
        assert [key.value for key in top.query_one(Rows).rows] == names
        fail(sql, 4, "connect", "refused by 10.0.0.{}")
        await until(pilot, lambda: "failed 9" in shown(top))

    press(settings, keys)


def test_enter_looks_into_a_cause_and_an_event_and_escape_leads_back(
    settings: Settings, sql: lab.Sql
) -> None:
    fail(sql, 3, "mapping", "field [{}] is wrong\nsecond line")
    fail(sql, 1, "connect", "refused")

    async def keys(top: Top, pilot: Pilot[Any]) -> None:
        await pilot.press("enter")
        await until(
            pilot, lambda: isinstance(top.screen, GroupScreen) and top.screen.query_one(Rows).row_count
        )
        assert top.screen.query_one(Rows).row_count == 3
        event = top.screen.query_one(Rows).chosen
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(top.screen, EventScreen) and event in shown(top))
        lines = [line.strip() for line in shown(top).splitlines()]
        assert "second line" in lines
        await pilot.press("escape", "escape")
        assert len(top.screen_stack) == 1

    press(settings, keys)


def test_a_prepared_replay_is_a_rehearsal_that_is_printed_and_changes_nothing(
    settings: Settings, sql: lab.Sql, cli: Cli
) -> None:
    fail(sql, 3, "mapping", "field [{}] is wrong")
    query = "SELECT id FROM search_outbox_events WHERE status = 'failed' ORDER BY created_at OFFSET 1 LIMIT 1"
    ((second,),) = sql.execute(query).fetchall()
    before = lab.rows(sql)

    async def keys(top: Top, pilot: Pilot[Any]) -> None:
        await pilot.press("r")
        assert isinstance(top.screen, Note)
        assert "--dry-run" in shown(top)
        await pilot.press("space", "enter")
        await until(
            pilot, lambda: isinstance(top.screen, GroupScreen) and top.screen.query_one(Rows).row_count
        )
        await pilot.press("down", "r")
        assert f"--id {second} " in top.prepared[-1], "the one that is chosen"
        await pilot.press("x", "up", "enter")
        await until(pilot, lambda: isinstance(top.screen, EventScreen))
        await pilot.press("r", "x", "r", "x", "q")

    top = press(settings, keys)
    assert top.return_value is not None
    assert len(top.return_value) == 3, "one command twice is printed once"
    for command, matched in zip(top.return_value, (3, 1, 1), strict=True):
        words = command.replace("'WHY'", "WHY").split()
        assert words[0] == "outboxctl"
        assert cli.json(*words[1:])["matched"] == matched
    assert lab.rows(sql) == before


def test_hostile_text_is_shown_escaped_everywhere(settings: Settings, sql: lab.Sql) -> None:
    haunt(sql)

    async def keys(top: Top, pilot: Pilot[Any]) -> None:
        assert "\\x1b" in shown(top)
        assert str(top.query_one("#workers", Static).render()).startswith("\\x1b]0;evil"), "workers as well"
        assert not any(raw in shown(top) for raw in RAW)
        await pilot.press("enter")
        await until(pilot, lambda: str(EVENT) in shown(top))
        assert not any(raw in shown(top) for raw in RAW)
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(top.screen, EventScreen) and str(EVENT) in shown(top))
        assert "[red]" in shown(top)
        assert not any(raw in shown(top) for raw in RAW)

    press(settings, keys)


def test_a_database_that_goes_away_is_said_and_waited_for(settings: Settings, sql: lab.Sql, url: str) -> None:
    fail(sql, 1, "mapping", "wrong")
    name = url.rpartition("/")[2]
    sql.close()

    async def keys(top: Top, pilot: Pilot[Any]) -> None:
        banner = top.query_one("#banner", Static)
        with psycopg.connect(url.replace(name, "postgres"), autocommit=True) as admin:
            admin.execute(f"ALTER DATABASE {name} WITH ALLOW_CONNECTIONS false")
            await until(pilot, lambda: "cannot be used" in shown(top))
            assert "failed 1" in shown(top), "the last figures stay"
            admin.execute(f"ALTER DATABASE {name} WITH ALLOW_CONNECTIONS true")
            await until(pilot, lambda: not banner.display)

    press(settings, keys)


@pytest.mark.parametrize("size", [(80, 24), (40, 10), (200, 60)])
def test_it_fits_any_screen(settings: Settings, sql: lab.Sql, size: tuple[int, int]) -> None:
    fail(sql, 3, "mapping", "field [{}] is wrong " + "x" * 500)

    async def keys(top: Top, pilot: Pilot[Any]) -> None:
        assert "lag" in shown(top)
        assert "mapping" in shown(top)
        await pilot.press("question_mark")
        assert "quit" in shown(top)

    press(settings, keys, size=size)


def test_without_a_terminal_it_refuses_and_says_what_works(cli: Cli) -> None:
    done = cli("top")
    assert (done.returncode, done.stdout) == (2, "")
    assert "status --watch" in done.stderr


def test_on_a_real_terminal_it_leaves_the_commands_behind(cli: Cli, sql: lab.Sql) -> None:
    fail(sql, 3, "mapping", "field [{}] is wrong")
    env = cli.env | {"TERM": "xterm-256color", "NO_COLOR": "1"}
    keys = [("mapping", "r"), ("Prepared", " "), ("mapping", "q")]
    seen = show(["top"], env, cli.cwd, columns=80, keys=keys)
    assert seen.returncode == 0, seen.raw
    _, _, after = seen.raw.partition("\x1b[?1049l")
    assert "outboxctl replay --fingerprint " in after
    assert not re.search(r"\x1b\[[0-9;]*(3[0-8]|4[0-8]|9[0-7])[;m]", seen.raw), "NO_COLOR"

"""What the pages on concepts claim of the code: states and verbs, the waits, the trigger's versions."""

import re
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from outboxctl.core.schema.trigger import trigger_sql
from outboxctl.domain import backoff
from outboxctl.domain.lifecycle import TRANSITIONS, Status, Verb
from outboxctl.settings import Settings

DOCS = Path(__file__).parents[2] / "docs"
DEFAULTS = {name: field.default for name, field in Settings.model_fields.items()}


def table(page: str, head: str) -> Iterator[list[str]]:
    """The cells of the table whose first line begins with `head`, its rows one by one."""
    lines = page[page.index(head) :].splitlines()[2:]
    for line in lines:
        if not line.startswith("|"):
            return
        yield [cell.strip(" `") for cell in line.strip("| ").split(" | ")]


@pytest.mark.no_servers
def test_every_state_and_verb_is_explained() -> None:
    page = (DOCS / "how-it-works.md").read_text()
    assert [row[0] for row in table(page, "| state |")] == list(Status)
    assert [row[0] for row in table(page, "| verb |")] == [
        *(verb for verb in Verb if verb not in (Verb.REPLAY, Verb.DISCARD, Verb.UNDO, Verb.DROP)),
        *(Verb.REPLAY, Verb.UNDO, Verb.DISCARD, Verb.DROP),
    ]
    said = {tuple(row[:3]) for row in table(page, "| verb |")}
    assert said == {(each.verb, f"{each.source}, {each.target}", each.actor) for each in TRANSITIONS}


@pytest.mark.no_servers
@pytest.mark.parametrize("page", ["README.md", "README.zh-CN.md", "docs/on-call.md"])
def test_pages_that_say_how_long_an_outage_may_take_say_it_right(page: str) -> None:
    base, cap = DEFAULTS["base_backoff_seconds"], DEFAULTS["max_backoff_seconds"]
    minutes = int(backoff.survives(DEFAULTS["max_attempts"], base=base, cap=cap) // 60)
    about = [line for line in (DOCS.parent / page).read_text().splitlines() if "`hold`" in line]
    assert re.findall(r"(\d+) (?:minutes|分钟)", "\n".join(about)) == [str(minutes)]


def test_an_article_that_comes_back_has_a_higher_version(url: str) -> None:
    """The table and trigger of the page on writing events, for what the page on versions says of them."""
    page = (DOCS / "producing.md").read_text()
    (articles,) = re.findall(r"^```sql\n(CREATE TABLE articles .*?)^```$", page, re.MULTILINE | re.DOTALL)
    outbox = trigger_sql()
    with psycopg.connect(url, autocommit=True) as connection:
        for statement in (articles, outbox):
            connection.execute(statement.encode())
        for _ in range(2):
            connection.execute("INSERT INTO articles (id, title, body) VALUES (md5('same')::uuid, 'a', 'b')")
            connection.execute("UPDATE articles SET likes = likes + 1")
            connection.execute("DELETE FROM articles")
        events = connection.execute(
            "SELECT op, event_version FROM search_outbox_events ORDER BY ctid"
        ).fetchall()
    assert [op for op, _ in events] == ["upsert", "upsert", "delete"] * 2
    versions = [version for _, version in events]
    assert versions == sorted(set(versions))

"""What the pages on concepts claim: states, verbs, waits and reasons are the code's."""

import re
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from outboxctl.core.schema.trigger import trigger_sql
from outboxctl.domain import backoff
from outboxctl.domain.failures import RULES, Verdict
from outboxctl.domain.lifecycle import TRANSITIONS, Status, Verb
from outboxctl.settings import DELIVERY_SHARE, Settings
from outboxctl.worker.circuit import LONGEST_STEP

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
OUTAGES = DOCS / "outages.md"
UNITS = {"s": 1, "min": 60}
DEFAULTS = {name: field.default for name, field in Settings.model_fields.items()}
BASE, CAP = DEFAULTS["base_backoff_seconds"], DEFAULTS["max_backoff_seconds"]


class Random:
    """The least or the greatest that chance can say."""

    def __init__(self, value: float) -> None:
        self.random = lambda: value


def table(page: str, head: str) -> Iterator[list[str]]:
    """The cells of the table whose first line begins with `head`, its rows one by one."""
    lines = page[page.index(head) :].splitlines()[2:]
    for line in lines:
        if not line.startswith("|"):
            return
        yield [cell.strip(" `") for cell in line.strip("| ").split(" | ")]


def each(row: list[str]) -> range:
    """The numbers that a row is about: its first cell is `7` or `7 to 29`."""
    first, _, last = row[0].partition(" to ")
    return range(int(first), int(last or first) + 1)


@pytest.mark.no_servers
def test_a_word_of_the_glossary_has_one_meaning_and_a_place_that_exists() -> None:
    rows = list(table((DOCS / "glossary.md").read_text(), "| word |"))
    words = [row[0].casefold().replace("-", "") for row in rows]
    assert words == sorted(set(words))
    places = [place for row in rows for place in re.findall(r"[\w/]+(?:\.py|/)(?=$|`)", row[-1])]
    assert len(places) > 50
    assert not [place for place in places if not (ROOT / "src" / "outboxctl" / place).exists()]


@pytest.mark.no_servers
def test_every_state_and_verb_is_explained() -> None:
    page = (DOCS / "concepts" / "life-of-an-event.md").read_text()
    assert [row[0] for row in table(page, "| state |")] == list(Status)
    assert [row[0] for row in table(page, "| verb |")] == [
        *(verb for verb in Verb if verb not in (Verb.REPLAY, Verb.DISCARD, Verb.UNDO, Verb.DROP)),
        *(Verb.REPLAY, Verb.UNDO, Verb.DISCARD, Verb.DROP),
    ]
    said = {tuple(row[:3]) for row in table(page, "| verb |")}
    assert said == {(each.verb, f"{each.source}, {each.target}", each.actor) for each in TRANSITIONS}


@pytest.mark.no_servers
def test_the_waits_are_those_of_the_code() -> None:
    *waits, last = (
        (number, row[1:]) for row in table(OUTAGES.read_text(), "| attempt | wait") for number in each(row)
    )
    assert last == (DEFAULTS["max_attempts"], ["failed", "failed"])
    assert [attempt for attempt, _ in waits] == list(range(1, DEFAULTS["max_attempts"]))
    for attempt, said in waits:
        bounds = [
            backoff.delay(attempt, base=BASE, cap=CAP, rng=Random(edge))  # type: ignore[arg-type]
            for edge in (0.0, 1.0)
        ]
        assert [f"{bound:g} s" for bound in bounds] == said
    least, most = (sum(float(said[column].removesuffix(" s")) for _, said in waits) for column in (0, 1))
    assert least == backoff.survives(DEFAULTS["max_attempts"], base=BASE, cap=CAP)
    page = OUTAGES.read_text()
    assert f"outlives an outage of {least // 1:.0f} s" in page
    assert f"much more than {most:.0f} s" in page
    says = f"(OUTBOX_OUTAGE_POLICY=count, OUTBOX_MAX_ATTEMPTS={DEFAULTS['max_attempts']})"
    assert f"after {least:.1f} s at the earliest {says}" in page
    assert f"up to {DEFAULTS['lease_seconds'] * DELIVERY_SHARE:g} s, three quarters" in page
    assert f"at most {LONGEST_STEP:g} s later" in page


@pytest.mark.no_servers
@pytest.mark.parametrize("page", ["README.md", "README.zh-CN.md", "docs/faq.md"])
def test_pages_that_say_how_long_an_outage_may_take_say_it_right(page: str) -> None:
    base, cap = DEFAULTS["base_backoff_seconds"], DEFAULTS["max_backoff_seconds"]
    minutes = int(backoff.survives(DEFAULTS["max_attempts"], base=base, cap=cap) // 60)
    about = [line for line in (DOCS.parent / page).read_text().splitlines() if "`hold`" in line]
    assert re.findall(r"(\d+) (?:minutes|分钟)", "\n".join(about)) == [str(minutes)]


@pytest.mark.no_servers
def test_what_outlives_how_long() -> None:
    for attempts, said in table(OUTAGES.read_text(), "| `OUTBOX_MAX_ATTEMPTS` |"):
        number, unit = said.split()
        assert backoff.survives(int(attempts), base=BASE, cap=CAP) // UNITS[unit] == int(number)


@pytest.mark.no_servers
def test_all_that_is_held_is_named() -> None:
    held = {rule.reason for rule in RULES if rule.verdict is Verdict.OUTAGE}
    page = OUTAGES.read_text()
    part = page[page.index("## What `hold` holds") : page.index("It also opens after requests")]
    assert {word for word in re.findall(r"`(\w+)`", part) if word not in ("hold", "outage")} == held


def test_an_article_that_comes_back_has_a_higher_version(url: str) -> None:
    """The table and trigger of the page on writing events, for what the page on versions says of them."""
    page = (DOCS / "producing.md").read_text()
    (articles,) = re.findall(r"^```sql\n(CREATE TABLE articles .*?)^```$", page, re.MULTILINE | re.DOTALL)
    outbox = trigger_sql(
        "search_index", id_column="entity_id", version_column="event_version", type_column="entity_type"
    )
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

"""The README's twelve lines make documents; the Chinese one (README.zh-CN.md) has the same."""

import re
import uuid
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from elasticsearch import Elasticsearch

from docs.blocks import ROOT, Block, blocks
from docs.shell import Shell
from outboxctl.drills.labs.catalogue import LABS

ENGLISH = ROOT / "README.md"
TABLES = re.compile(r"<<'SQL'\n(CREATE SCHEMA shop;.*?)^SQL$", re.MULTILINE | re.DOTALL)
EXPECTED = [
    {"id": 1, "name": "Frying pan", "price": 24.9, "category": "Cookware", "reviews": ["Nothing sticks."]},
    {"id": 2, "name": "Stock pot", "price": 39.0, "category": "Cookware", "reviews": []},
    {"id": 3, "name": "Bread knife", "price": 18.5, "category": "Knives", "reviews": ["Cuts onion, too."]},
]


def of(page: Path, language: str) -> list[Block]:
    return [block for block in blocks(page) if block.language == language]


@pytest.mark.no_servers
def test_both_are_built_alike() -> None:
    headings, rows, pictures = (
        [count(page.read_text()) for page in READMES]
        for count in (
            lambda text: re.findall("^#+", text, re.MULTILINE),
            lambda text: len(re.findall(r"^\|", text, re.MULTILINE)),
            lambda text: [name.replace("-zh", "") for name in re.findall(r"docs/assets/(\S+)\.svg", text)],
        )
    )
    assert headings[0] == headings[1]
    assert rows[0] == rows[1]
    assert pictures[0] == pictures[1]
    for language in ("toml", "sql"):
        assert [each.text for each in of(ENGLISH, language)] == [each.text for each in of(CHINESE, language)]


@pytest.mark.no_servers
@pytest.mark.parametrize("page", READMES, ids=lambda page: page.name)
def test_a_ratio_is_the_one_that_was_measured(page: Path) -> None:
    shown = [row[1:] for row in tables(page)[1][2:]]
    assert shown == [[ratio(section, name) for section in SECTIONS] for name in RATIOS]


@pytest.mark.no_servers
@pytest.mark.parametrize("page", READMES, ids=lambda page: page.name)
def test_what_pgsync_missed_and_a_script_delivers_is_what_was_measured(page: Path) -> None:
    missed = f"{results()['Nested documents'][MISSED]:.0f}"
    row = next(row for row in tables(page)[0] if re.search(r"\d{2}", row[2]))
    assert re.findall(r"\d+", row[2]) == [missed, missed]
    peers = results()["Peers"]
    slower = peers["outboxctl, exec to exit"] / peers["naive worker"]
    assert re.findall(r"\b(?:1/)?(\d\d)(?:th\b|。)", page.read_text()) == [f"{slower:.0f}"]


@pytest.mark.no_servers
@pytest.mark.parametrize("page", READMES, ids=lambda page: page.name)
def test_it_counts_the_labs_and_its_own_lines_right(page: Path) -> None:
    assert re.findall(r"(\d+) (?:ways|种)", page.read_text()) == [str(len(LABS))]
    assert sum(len(block.text.splitlines()) for name in ("toml", "sql") for block in of(page, name)) == 12


@pytest.fixture
def page() -> Path:
    return ENGLISH


@pytest.fixture
def products(engine: Elasticsearch) -> Iterator[str]:
    """A name of its own in place of `products`, for others may use the same engine."""
    name = f"t-{uuid.uuid4().hex[:12]}"
    yield name
    engine.options(ignore_status=404).indices.delete(index=f"{name}-000001")


@pytest.mark.slow(reason="runs the commands of the README one by one, a worker twice")
def test_the_twelve_lines_make_documents_that_follow_their_tables(
    shell: Shell, sql: psycopg.Connection, engine: Elasticsearch, products: str
) -> None:
    sql.execute(TABLES.findall((ROOT / "docs" / "tutorial.md").read_text())[0])
    toml, query = of(ENGLISH, "toml")[0].text, of(ENGLISH, "sql")[0].text
    (shell.folder / "shop.toml").write_text(toml.replace('"products"', f'"{products}"'))
    (shell.folder / "product.sql").write_text(query)
    (typed,) = (block for block in of(ENGLISH, "bash") if block.runs)
    shell.run(typed)
    sql.execute("UPDATE shop.categories SET name = 'Cookware' WHERE id = 1")
    shell.run(Block(ENGLISH, 0, "bash", "", "outboxctl worker --drain", ""))
    engine.indices.refresh(index=products)
    hits = engine.search(index=products)["hits"]["hits"]
    assert sorted((hit["_source"] for hit in hits), key=lambda source: source["id"]) == EXPECTED

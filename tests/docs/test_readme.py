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
@pytest.mark.parametrize("language", ["toml", "sql"])
def test_the_chinese_readme_has_the_same_lines(language: str) -> None:
    chinese = of(ROOT / "README.zh-CN.md", language)
    assert [each.text for each in chinese] == [each.text for each in of(ENGLISH, language)]


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

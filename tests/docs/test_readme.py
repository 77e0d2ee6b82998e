"""The README's twelve lines make documents; the Chinese one (README.zh-CN.md) has the same."""

import re
from pathlib import Path

import psycopg
import pytest
from elasticsearch import Elasticsearch

import shop
from docs.blocks import ROOT, Block, blocks
from docs.shell import Shell

ENGLISH = ROOT / "README.md"
TABLES = re.compile(r"<<'SQL'\n(CREATE SCHEMA shop;.*?)^SQL$", re.MULTILINE | re.DOTALL)


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


@pytest.mark.slow(reason="runs the commands of the README one by one, a worker twice")
def test_the_twelve_lines_make_documents_that_follow_their_tables(
    shell: Shell, sql: psycopg.Connection, engine: Elasticsearch, index: str
) -> None:
    products = f"{index}-products"
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
    found = {hit["_id"]: hit["_source"] for hit in hits}
    assert {each["category"] for each in found.values()} == {"Cookware", "Knives"}
    assert found == shop.documents(sql, "outbox_document_product")

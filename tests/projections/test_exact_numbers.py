"""A number that differs in its last digit differs, and `preview` prints each number as it is."""

import json
from collections.abc import Callable
from typing import Any

import psycopg
import pytest
from elasticsearch import Elasticsearch

import shop
from processes import Cli
from projections.store import WHO

TABLES = """
CREATE SCHEMA shop;
CREATE TABLE shop.things (id int PRIMARY KEY, price numeric(38, 18), more jsonb);
INSERT INTO shop.things VALUES (1, 1.000000000000000001, '{"deep": [12345678901234567890.25, 0.10]}'),
    (2, 2.5, NULL), (3, 0.000000000000000001, '1e40');
"""
OTHER = "1.000000000000000002"
DEEP = "12345678901234567890.26"


@pytest.fixture
def things(things: Callable[..., str], sql: psycopg.Connection, cli: Cli) -> str:
    """Delivered things with long numbers; their index."""
    index = things(TABLES, "things")
    shop.changed(sql, 1, 2, 3, name="thing")
    cli.ok("worker", "--drain")
    return index


@pytest.mark.real_engine
@pytest.mark.parametrize(("old", "new"), [("1.000000000000000001", OTHER), ("12345678901234567890.25", DEEP)])
def test_verify_and_preview_see_the_last_digit_and_a_repair_mends_it(
    things: str, cli: Cli, sql: psycopg.Connection, engine: Elasticsearch, old: str, new: str
) -> None:
    cli.ok("verify", "--projection", "thing")
    cli.ok("projection", "preview", "thing", "1", "2", "3")
    (text,) = sql.execute("SELECT to_json(t)::text FROM shop.things t WHERE id = 1").fetchone() or ("",)
    assert old in text
    engine.delete(index=things, id="1")
    lines: list[Any] = [{"index": {"_index": things, "_id": "1"}}, text.replace(old, new)]
    assert not engine.bulk(operations=lines)["errors"]
    done = cli("verify", "--projection", "thing", "--json")
    assert done.returncode == 4, done
    assert [each["id"] for each in json.loads(done.stdout)["projections"][0]["first"]] == ["1"]
    for more in ((), ("--json",)):
        done = cli("projection", "preview", "thing", "1", *more)
        assert done.returncode == 4, done
        assert old in done.stdout
        assert new in done.stdout
    sql.execute("UPDATE search_outbox_events SET status = 'failed' WHERE entity_key = '1'")
    (event,) = sql.execute("SELECT id FROM search_outbox_events WHERE entity_key = '1'").fetchone() or (0,)
    for more in ((), ("--json",)):
        shown = cli.ok("failed", "show", str(event), *more)
        assert old in shown
        assert new in shown
    cli.ok("verify", "--projection", "thing", "--repair", *WHO, "--yes")
    cli.ok("worker", "--drain")
    cli.ok("verify", "--projection", "thing")
    assert "1.000000000000000001" in cli.ok("projection", "preview", "thing", "1")


@pytest.mark.real_engine
def test_preview_prints_numbers_as_they_are(things: str, cli: Cli) -> None:
    assert things
    shown = cli.ok("projection", "preview", "thing", "1", "3")
    assert '"price": 0.000000000000000001' in shown
    assert "[12345678901234567890.25, 0.10]" in shown
    assert '"price": 0.000000000000000001' in cli.ok("projection", "preview", "thing", "3", "--json")

"""A version that leaves no room, written by whoever may write the outbox, is undone by a rebuild."""

import json
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
from elasticsearch import Elasticsearch

from acceptance import lab
from operations.disaster import Ground
from outboxctl.core.schema.roles import Role
from outboxctl.operations.verify.repair import HIGHEST
from processes import Cli
from security.as_roles import roles

pytestmark = pytest.mark.real_engine
WHO = ("--by", "alice", "--reason", "drill")
MOST = 2**63 - 1
FORGED = """INSERT INTO search_outbox_events (entity_type, entity_id, op, event_version)
VALUES ('page', %s, 'delete', %s)"""
ROW = """INSERT INTO search_index (id, entity_type, entity_id, text, event_version, created_at, updated_at)
VALUES (gen_random_uuid(), 'page', %s, 'at last', 1, now(), now())"""
VERSIONS = "SELECT entity_id::text, event_version FROM search_index"


@pytest.fixture
def ground(sql: psycopg.Connection[Any], engine: Elasticsearch, index: str) -> Ground:
    return Ground.filled(sql, engine, index, 5)


def _keep_out(ground: Ground, cli: Cli, version: int, url: str) -> UUID:
    """As a producer: a delete of an id that is not there yet, which then gets its row and event."""
    entity = uuid4()
    with roles(ground.sql, url) as made:
        with psycopg.connect(made.login("app", Role.PRODUCER), autocommit=True) as producer:
            producer.execute(FORGED.encode(), [entity, version])
        cli.ok("worker", "--drain")
        ground.sql.execute(ROW, [entity])
        ground.sql.execute(FORGED.replace("'delete'", "'upsert'").encode(), [entity, 1])
        cli.ok("worker", "--drain")
    assert not ground.engine.exists(index=ground.index, id=f"page:{entity}"), "that is the attack"
    return entity


@pytest.mark.slow(reason="a rebuild each")
@pytest.mark.parametrize("version", [MOST, HIGHEST + 1])
def test_a_document_that_was_kept_out_is_in_the_next_index(
    cli: Cli, ground: Ground, url: str, version: int
) -> None:
    _keep_out(ground, cli, version, url)
    before = lab.rows(ground.sql, VERSIONS)
    done = json.loads(cli("verify", "--repair", *WHO, "--json").stdout)["repaired"]
    assert (done["enqueued"], done["raised"], done["left"], done["too_high"]) == (0, 0, 1, 1)
    assert lab.rows(ground.sql, VERSIONS) == before, "the application's next version has room"
    cli.ok("rebuild", *WHO, "--yes")
    cli.ok("verify")
    ground.assert_same()

"""A version that leaves no room, written by whoever may write the outbox, is undone by `verify --repair`."""

import json
from collections.abc import Callable
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
from elasticsearch import Elasticsearch

from acceptance import lab
from operations.disaster import Ground, Victim
from outboxctl.core.schema.roles import Role
from outboxctl.operations.verify.repair import HIGHEST, Repaired
from outboxctl.sink.index.repair import Mender
from outboxctl.sink.index.reset import reset
from outboxctl.sink.index.scan import Reader
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


@pytest.mark.slow(reason="several repairs each")
@pytest.mark.parametrize("version", [MOST, HIGHEST + 1])
def test_a_document_that_was_kept_out_is_let_in(cli: Cli, ground: Ground, url: str, version: int) -> None:
    entity = _keep_out(ground, cli, version, url)
    before = lab.rows(ground.sql, VERSIONS)
    done = cli.json("verify", "--repair", *WHO)["repaired"]
    assert (done["enqueued"], done["freed"], done["raised"], done["left"], done["too_high"]) == (
        1,
        1,
        0,
        0,
        0,
    )
    cli.ok("worker", "--drain")
    cli.ok("verify")
    ground.assert_same()
    assert lab.rows(ground.sql, VERSIONS) == before, "the application's next version has room"
    (audit,) = lab.rows(ground.sql, "SELECT * FROM outbox_operator_audit")
    assert audit["filters"]["freed"] == {f"page:{entity}": version}


@pytest.mark.parametrize("version", [MOST, HIGHEST + 1])
def test_a_document_that_stands_there_is_replaced_by_its_rows(cli: Cli, ground: Ground, version: int) -> None:
    one = ground.documents()[0]
    ground.write([one._replace(version=version)])
    before = lab.rows(ground.sql, VERSIONS)
    planned = json.loads(cli("verify", "--repair", *WHO, "--dry-run", "--json").stdout)["planned"]
    assert (planned["enqueued"], planned["freed"], planned["left"]) == (1, 1, 0)
    assert cli.json("verify", "--repair", *WHO)["repaired"]["freed"] == 1
    cli.ok("worker", "--drain")
    cli.ok("verify")
    ground.assert_same()
    assert lab.rows(ground.sql, VERSIONS) == before


def test_a_document_written_again_meanwhile_stays(
    ground: Ground, repair_all: Callable[..., Repaired]
) -> None:
    one = ground.documents()[0]
    ground.write([one._replace(version=MOST)])

    def again() -> None:
        ground.write([one._replace(version=MOST, text=json.dumps({"by": "another"}))])

    done = repair_all(again)
    assert (done.freed, done.enqueued, done.left) == (0, 0, 1)
    assert ground.engine.get(index=ground.index, id=one.id)["_source"] == {"by": "another"}
    assert lab.rows(ground.sql) == []


def test_a_document_that_came_where_only_a_tombstone_was_stays(
    ground: Ground, reader: Reader, index: str
) -> None:
    """The tombstone ended between two looks, and a worker delivered: a create is refused."""
    one = ground.documents()[0]
    held = reset(Mender(reader.client, index), [(one.id, None)], above=HIGHEST)
    assert held == {}
    ground.assert_same()


def test_a_row_that_somebody_holds_or_has_deleted_is_left_and_the_sink_is_not_touched(
    cli: Cli, ground: Ground, url: str, repair_all: Callable[..., Repaired]
) -> None:
    entity = _keep_out(ground, cli, MOST, url)
    with psycopg.connect(url) as holder:
        holder.execute("SELECT FROM search_index WHERE entity_id = %s FOR UPDATE", [entity])
        assert (repair_all().freed, repair_all().left) == (0, 1)
    delete = "DELETE FROM search_index WHERE entity_id = %s"
    done = repair_all(lambda: ground.sql.execute(delete, [entity]))
    assert (done.freed, done.left) == (0, 1)
    with pytest.raises(Exception, match="version_conflict"):
        ground.write([Victim(f"page:{entity}", 1, "{}")])

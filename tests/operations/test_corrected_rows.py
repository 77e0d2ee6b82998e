"""A row that the index refused is corrected by hand, as the runbook says, and its failed event replayed."""

import json

import psycopg
import pytest
from elasticsearch import Elasticsearch

from operations.failures import WHO
from processes import Cli

pytestmark = pytest.mark.real_engine


@pytest.mark.parametrize("raised", ["", ", event_version = event_version + 1"], ids=["same", "raised"])
def test_a_corrected_row_is_delivered_by_the_replay_of_its_failed_event(
    cli: Cli, sql: psycopg.Connection, engine: Elasticsearch, index: str, raised: str
) -> None:
    cli.ok("inject", "event", "--kind", "poison", "--count", "3")
    cli.ok("worker", "--drain")
    assert json.loads(cli.ok("status", "--json"))["failed_by_reason"] == {"mapping": 3}
    sql.execute(f"UPDATE search_index SET rank_score = 0.5, updated_at = now(){raised}")
    cli.ok("replay", *WHO, "--error-reason", "mapping")
    cli.ok("worker", "--drain")
    engine.indices.refresh(index=index)
    hits = engine.search(index=index, version=True)["hits"]["hits"]
    expected = 2 if raised else 1
    assert [(hit["_version"], hit["_source"]["rank_score"]) for hit in hits] == [(expected, 0.5)] * 3
    cli.ok("verify")

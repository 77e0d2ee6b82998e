"""A worker as one writes it in an afternoon: `naive.py DATABASE_URL ELASTIC_URL INDEX`, to the last event.

It locks while it sends, has no lease, no retry and no version: that is what makes it short.
"""

import sys
from typing import Any

import psycopg
from elasticsearch import Elasticsearch
from elasticsearch.helpers import bulk
from psycopg.rows import dict_row

SIZE = 100
CLAIM = """
SELECT o.id AS event, s.* FROM search_outbox_events o JOIN search_index s USING (entity_type, entity_id)
WHERE o.status = 'pending' ORDER BY o.created_at LIMIT %s FOR UPDATE OF o SKIP LOCKED
"""
DONE = "UPDATE search_outbox_events SET status = 'done', processed_at = now() WHERE id = %s"


def main(database: str, elastic: str, index: str) -> None:
    with psycopg.connect(database, row_factory=dict_row) as connection, Elasticsearch(elastic) as client:
        while rows := connection.execute(CLAIM, [SIZE]).fetchall():
            events = [row.pop("event") for row in rows]
            bulk(client, [_action(index, row) for row in rows])
            for event in events:
                connection.execute(DONE, [event])
            connection.commit()


def _action(index: str, row: dict[str, Any]) -> dict[str, Any]:
    return {"_index": index, "_id": f"{row['entity_type']}:{row['entity_id']}", "_source": row}


if __name__ == "__main__":
    main(*sys.argv[1:])

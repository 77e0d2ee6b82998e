"""The lab worker's loop as it comes, in our own words: `one_by_one.py DATABASE_URL ELASTIC_URL INDEX`.

It claims 100 under a lease; then each event is looked at again, its row is read, the document sent by a
request of its own, and the event marked, in a transaction of its own.
"""

import sys

import psycopg
from elasticsearch import Elasticsearch
from psycopg.rows import dict_row

SIZE = 100
CLAIM = """
UPDATE search_outbox_events SET status = 'processing', owner = 'peer', attempts = attempts + 1,
    lease_until = now() + interval '30 s', processing_started_at = now()
WHERE id IN (SELECT id FROM search_outbox_events WHERE status = 'pending' ORDER BY created_at LIMIT %s
    FOR UPDATE SKIP LOCKED)
RETURNING id
"""
AGAIN = "SELECT entity_type, entity_id FROM search_outbox_events WHERE id = %s AND owner = 'peer'"
ROW = "SELECT * FROM search_index WHERE entity_type = %(entity_type)s AND entity_id = %(entity_id)s"
DONE = """
UPDATE search_outbox_events SET status = 'done', processed_at = now(), owner = NULL, lease_until = NULL,
    processing_started_at = NULL
WHERE id = %s AND owner = 'peer'
"""


def main(database: str, elastic: str, index: str) -> None:
    with psycopg.connect(database, row_factory=dict_row) as connection, Elasticsearch(elastic) as client:
        while claimed := connection.execute(CLAIM, [SIZE]).fetchall():
            connection.commit()
            for event in claimed:
                entity = connection.execute(AGAIN, [event["id"]]).fetchone()
                row = entity and connection.execute(ROW, entity).fetchone()
                if row:
                    client.index(index=index, id=f"{row['entity_type']}:{row['entity_id']}", document=row)
                connection.execute(DONE, [event["id"]])
                connection.commit()


if __name__ == "__main__":
    main(*sys.argv[1:])

"""Writing documents as an application would: each row and its event in one transaction."""

from collections.abc import Iterator, Sequence
from contextlib import closing

import psycopg

from outboxctl import enqueue
from outboxctl.core.database_errors import translate
from outboxctl.core.schema.names import SOURCE
from outboxctl.drills.demo.documents import ENTITY_TYPE, Docstring

UPSERT = f"""
INSERT INTO {SOURCE} AS s (id, entity_type, entity_id, text, snippet, rank_score, event_version,
    created_at, updated_at)
VALUES (gen_random_uuid(), %s, %s, %s, %s, 0, 1, now(), now())
ON CONFLICT (entity_type, entity_id) DO UPDATE SET event_version = s.event_version + 1, updated_at = now()
RETURNING event_version
"""  # noqa: S608 - built from constants
TOLD_EVERY = 100


def write(url: str, documents: Sequence[Docstring]) -> Iterator[int]:
    """Write every document, again if it is there already; yields now and then how many are committed."""
    try:
        # Closed, not rolled back: an interrupted connection cannot roll back, and would say so on stderr.
        with closing(psycopg.connect(url)) as connection:
            for count, document in enumerate(documents, start=1):
                _write(connection, document)
                connection.commit()
                if count % TOLD_EVERY == 0:
                    yield count
    except psycopg.Error as error:
        raise translate(error, "of the demo") from error


def _write(connection: psycopg.Connection, document: Docstring) -> None:
    """Both in the transaction that is open."""
    given = (ENTITY_TYPE, document.entity_id, document.text, document.snippet)
    row = connection.execute(UPSERT, given).fetchone()
    version = row[0] if row else 0
    enqueue(connection, entity_type=ENTITY_TYPE, entity_id=document.entity_id, event_version=version)

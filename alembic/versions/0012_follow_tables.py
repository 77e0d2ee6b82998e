"""Follow events are expanded table by table: an index that finds those of one followed table.

Revision ID: 0012
Revises: 0011
"""

from alembic import op

revision = "0012"
down_revision = "0011"

TAKES = (("index", "ix_search_outbox_events_follow"),)  # by the downgrade
# Those that have begun (a cursor) are apart from the others: each is looked for without reading past them.
INDEX = """
CREATE INDEX IF NOT EXISTS ix_search_outbox_events_follow
ON search_outbox_events (entity_type, follow, num_nulls(follow_cursor), created_at)
WHERE status = 'pending' AND next_retry_at = 'infinity' AND follow IS NOT NULL
"""
# By its table: the search path need not lead to it.
DROP = """
DO $$
DECLARE
    found regclass := (SELECT i.indexrelid FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
        WHERE i.indrelid = 'search_outbox_events'::regclass
        AND c.relname = 'ix_search_outbox_events_follow');
BEGIN
    IF found IS NOT NULL THEN
        EXECUTE 'DROP INDEX ' || found::text;
    END IF;
END
$$;
"""


def upgrade() -> None:
    op.execute(INDEX)


def downgrade() -> None:
    op.execute(DROP)

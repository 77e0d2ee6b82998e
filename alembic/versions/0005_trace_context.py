"""An event remembers the trace that it was written in.

Revision ID: 0005
Revises: 0004
"""

from alembic import op

revision = "0005"
down_revision = "0004"

# W3C Trace Context, version 00: `00-<trace id>-<parent id>-<flags>`, 55 characters. Nullable and without a
# default: the table is not rewritten, and its lock is held for a moment. No index: it is read by id only.
ADD = "ALTER TABLE search_outbox_events ADD COLUMN IF NOT EXISTS traceparent varchar(55)"
# A column of that name that was there before, of another type, is the application's.
TAKES = (("column", "search_outbox_events.traceparent"),)  # by the downgrade
DROP = """
DO $$
BEGIN
    IF EXISTS (SELECT FROM pg_attribute
               WHERE attrelid = 'search_outbox_events'::regclass AND attname = 'traceparent'
               AND format_type(atttypid, atttypmod) = 'character varying(55)') THEN
        ALTER TABLE search_outbox_events DROP COLUMN traceparent;
    END IF;
END
$$;
"""


def upgrade() -> None:
    op.execute(ADD)


def downgrade() -> None:
    op.execute(DROP)

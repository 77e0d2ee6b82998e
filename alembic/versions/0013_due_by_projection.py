"""The index of due events begins with the projection, which a claim finds the events of.

Its number is above those of checkouts before the first release (0002 to 0012), which are not taken over.

Revision ID: 0013
Revises: 0001
"""

from alembic import op
from sqlalchemy.schema import CreateIndex

from outboxctl.core.schema.names import DUE
from outboxctl.core.tables import EVENTS

revision = "0013"
down_revision = "0001"

# In the schema of its table, whichever is searched.
DROP = """
DO $$
DECLARE
    old regclass := (SELECT c.oid FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
        WHERE i.indrelid = 'search_outbox_events'::regclass AND {which});
BEGIN
    IF old IS NOT NULL THEN
        EXECUTE 'DROP INDEX ' || old::text;
    END IF;
END
$$;
"""


def upgrade() -> None:
    (index,) = (each for each in EVENTS.indexes if each.name == DUE)
    # An interrupted CREATE INDEX CONCURRENTLY leaves one that no query uses.
    op.execute(DROP.format(which=f"c.relname = '{DUE}' AND NOT i.indisvalid"))
    op.execute(CreateIndex(index, if_not_exists=True))
    op.execute(DROP.format(which="c.relname = 'ix_search_outbox_events_due'"))
    op.execute("ALTER TABLE outbox_workers ADD COLUMN IF NOT EXISTS outages jsonb")

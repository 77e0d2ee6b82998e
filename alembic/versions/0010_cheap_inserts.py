"""The check of a new event's values is not called for those who may write any.

Revision ID: 0010
Revises: 0009
"""

from alembic import op

revision = "0010"
down_revision = "0009"

TAKES = (("setting", "search_outbox_events: who may UPDATE it inserts without a call of the check"),)
# The function of 0007 leaves alone who may UPDATE both columns; who may UPDATE the table may. So it says the
# same, without being called: 2 us an event of a projection, whose triggers run as the owner of the outbox.
# Of a partition's copy of the trigger it is the whole table that is asked about: who may UPDATE that can
# write the same through it.
WHEN = "WHEN (NOT pg_catalog.has_table_privilege('search_outbox_events'::regclass, 'UPDATE'))"
TRIGGER = """
DROP TRIGGER IF EXISTS outbox_event_begins ON search_outbox_events;
CREATE TRIGGER outbox_event_begins BEFORE INSERT ON search_outbox_events
FOR EACH ROW {when} EXECUTE FUNCTION outbox_event_begins();
"""


def upgrade() -> None:
    op.execute(TRIGGER.format(when=WHEN))


def downgrade() -> None:
    op.execute(TRIGGER.format(when=""))

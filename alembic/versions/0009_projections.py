"""Documents from the application's own tables: the projections in force, and the key of an event's document.

Revision ID: 0009
Revises: 0008
"""

from alembic import op

revision = "0009"
down_revision = "0008"

TAKES = (  # by the downgrade
    ("column", "search_outbox_events.entity_key"),
    ("column", "search_outbox_events.follow"),
    ("column", "search_outbox_events.follow_cursor"),
    ("table", "outbox_projections"),
    ("table", "outbox_version_base"),
)
# Nullable, without a default: nothing is rewritten, and an event of search_index has none of them.
# entity_key: the text of the document's key, or with `follow` the changed row's columns as JSON. follow: the
# place of a followed table in the projection, for an event that stands for all documents behind one row.
# follow_cursor: the last key of the pages that have been expanded.
COLUMNS = """
ALTER TABLE search_outbox_events ADD COLUMN IF NOT EXISTS entity_key text;
ALTER TABLE search_outbox_events ADD COLUMN IF NOT EXISTS follow smallint;
ALTER TABLE search_outbox_events ADD COLUMN IF NOT EXISTS follow_cursor text;
"""
PROJECTIONS = """
CREATE TABLE IF NOT EXISTS outbox_projections (
    name varchar(50) PRIMARY KEY,
    definition jsonb NOT NULL,
    applied_at timestamptz NOT NULL DEFAULT now(),
    applied_by varchar(120) NOT NULL
);
"""
# The versions of projected documents: base + serial number of the snapshot that read them. The server and
# its timeline are those for which the base holds: with others, serial numbers may be smaller than before.
BASE = """
CREATE TABLE IF NOT EXISTS outbox_version_base (
    singleton boolean PRIMARY KEY DEFAULT true CHECK (singleton),
    base bigint NOT NULL DEFAULT 0,
    system_identifier text,
    timeline text,
    raised_at timestamptz NOT NULL DEFAULT now()
);
INSERT INTO outbox_version_base DEFAULT VALUES ON CONFLICT DO NOTHING;
"""


def upgrade() -> None:
    for statement in (COLUMNS, PROJECTIONS, BASE):
        op.execute(statement)


def downgrade() -> None:
    op.execute("DROP TRIGGER IF EXISTS outbox_projection_claims ON search_outbox_events")
    op.execute("DROP FUNCTION IF EXISTS outbox_projection_claims()")
    op.execute("DROP TABLE IF EXISTS outbox_projections, outbox_version_base")
    for column in ("follow_cursor", "follow", "entity_key"):
        op.execute(f"ALTER TABLE search_outbox_events DROP COLUMN IF EXISTS {column}")

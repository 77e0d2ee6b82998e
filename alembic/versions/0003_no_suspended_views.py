"""Drops what 0002_suspended_views made in former versions: its functions, their trigger and their column.

A migration of the application drops our views by the SQL of `outboxctl projection sql --drop-views` instead.

Revision ID: 0003_no_suspended_views
Revises: 0002_suspended_views
"""

from alembic import op

revision = "0003_no_suspended_views"
down_revision = "0002_suspended_views"

# By their signatures: a function of the same name and other parameters is somebody else's.
FUNCTIONS = """
DO $outbox$
DECLARE
    outbox constant regnamespace := (SELECT relnamespace FROM pg_class
        WHERE oid = 'outbox_projections'::regclass);
    signature text;
BEGIN
    FOREACH signature IN ARRAY ARRAY[
        'drop(text)', 'file(oid)', 'functions(oid)', 'make(jsonb, text[])', 'missing(jsonb)',
        'own(int, bool)', 'reading(regclass[])', 'resume()', 'resumed()', 'retyped(jsonb)',
        'save(regclass[])', 'saved()', 'settle()', 'shape(jsonb)', 'suspend(regclass[])', 'trusted(jsonb)',
        'type(text, jsonb, text)', 'typed(jsonb)', 'view(oid)'
    ] LOOP
        EXECUTE 'DROP FUNCTION IF EXISTS ' || outbox || '.outbox_projections_' || signature;
    END LOOP;
END
$outbox$
"""


def upgrade() -> None:
    op.execute("DROP TRIGGER IF EXISTS outbox_projections_resumed ON outbox_projections")
    op.execute(FUNCTIONS)
    op.execute("ALTER TABLE outbox_projections DROP COLUMN IF EXISTS suspended")

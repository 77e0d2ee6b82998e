"""Nothing. In former versions: functions by which an application's migration dropped and made our views.

The revision stays for databases that have it; 0003_no_suspended_views drops what it made there.

Revision ID: 0002_suspended_views
Revises: 0001_outbox
"""

revision = "0002_suspended_views"
down_revision = "0001_outbox"


def upgrade() -> None:
    """Make nothing: a fresh database does not get the functions."""

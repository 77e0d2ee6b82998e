"""`outboxctl worker` beside which done events of projections vanish: the lab it runs in must end in FAIL."""

import os
import sys
import threading
import time

import psycopg

LOSE = """
DELETE FROM search_outbox_events WHERE id IN (
    SELECT id FROM search_outbox_events WHERE status = 'done'
        AND (SELECT count(*) FROM search_outbox_events) > 400 ORDER BY created_at LIMIT 1)
"""  # not before the lab's storm has begun


def main() -> None:
    """Have events vanish, and be the worker."""
    from outboxctl.cli import main as outboxctl

    threading.Thread(target=lose, daemon=True).start()
    sys.argv = ["outboxctl", "worker"]
    outboxctl()


def lose() -> None:
    """Delete an event that is done each quarter of a second, for as long as the worker lives."""
    while True:
        time.sleep(0.25)
        url = os.environ["DATABASE_URL"].replace("postgresql+psycopg://", "postgresql://")
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(LOSE)


if __name__ == "__main__":
    main()

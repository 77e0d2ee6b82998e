"""What stands below the figures: what was measured, and where it favours whom."""

from benchmarks.peers.pgsync_setup import SETTINGS, VERSION
from benchmarks.peers.writer import COMMIT

NOTES = f"""\
- The same rows, mapping, index settings and servers for all, one after the other in each repetition. The
  tables are filled anew before each burst. PostgreSQL writes a logical log throughout, which only pgsync
  needs.
- outboxctl, burst: `worker --drain` on events that are there. "Exec to exit" holds the start of Python, the
  last settle and the exit; "running" is from its line "worker started" to the start of its last settle.
- pgsync, first sync: version {VERSION} as a daemon, from exec until the index has written the last document;
  its bootstrap (triggers, replication slot) and exit are not in it. "Running" is from its first document
  to its last. Its table has no outbox beside it.
- "As it comes" is pgsync with its defaults; outboxctl always has its own. Everywhere else pgsync has
  {", ".join(f"{name}={value}" for name, value in SETTINGS.items())}.
- Updates: each row once, by one writer that commits {COMMIT} at a time as fast as it goes. For outboxctl it
  writes an event with each row; for pgsync it does not, but pgsync's triggers send a notification for each.
  "Lag" is from the writer's end until a search finds all new versions; "updates" are the rows until then.
- CPU of the updates: all that each process used from the writer's start until then, the writer's own not
  included; that of the servers holds the writer's statements.
- The naive worker (benchmarks/peers/naive.py): 100 rows locked, `helpers.bulk`, one UPDATE a row, from exec
  to exit, with half of the events.
- One by one (benchmarks/peers/one_by_one.py): the loop of the lab document's worker as it comes, in our own
  words, with a 25th of the events; not that worker itself.
- The helpers: from memory, dictionaries, a client as it comes. S: the same documents as bytes, by
  `client.bulk`, the best of 1, 2 and 3 senders.
"""

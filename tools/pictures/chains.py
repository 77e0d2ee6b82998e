"""The pictures that are chains of boxes."""

from markupsafe import Markup
from tools.pictures.chain import Chain, Link, chains

COMPARISON = [
    Chain(
        "Events in a table: outboxctl",
        [
            Link("postgres", ["row, event"], ["one transaction"]),
            Link("worker", ["worker"], ["claims, settles"]),
            Link("engine", ["index"], ["row's version"]),
        ],
    ),
    Chain(
        "The log: Debezium, Sequin, PeerDB, pgsync with --wal",
        [
            Link("postgres", ["WAL, slot"], ["kept for readers"]),
            Link("plain", ["connector", "or Kafka"], ["its own offset"]),
            Link("engine", ["index"], ["offset, or none"]),
        ],
    ),
    Chain(
        "Queries on a schedule: Logstash with JDBC, a script in cron",
        [
            Link("postgres", ["table"], ["column of time"]),
            Link("plain", ["query"], ["deletes: not seen"]),
            Link("engine", ["index"], ["no version"]),
        ],
    ),
]
ENGINES = [
    Chain(
        "",
        [
            Link("worker", ["worker"], ["one client, plain JSON"]),
            Link("engine", ["Elasticsearch 8, 9"], ["names itself in each answer"]),
        ],
    ),
    Chain(
        "",
        [
            Link("worker", ["worker"], ["the same requests"]),
            Link("engine", ["OpenSearch 2, 3"], ["names itself at GET /"]),
        ],
    ),
]
PIPELINE = [
    Chain(
        "",
        [
            Link("plain", ["application"], ["row + event", "in one", "transaction"]),
            Link("postgres", ["PostgreSQL"], ["a table", "of events"]),
            Link("worker", ["worker"], ["claims,", "delivers,", "settles"]),
            Link("engine", ["index"], ["refuses what", "is older"]),
        ],
    )
]
SCALING = [
    Chain(
        "",
        [
            Link("plain", ["application"], ["one INSERT", "an event"]),
            Link("postgres", ["PostgreSQL"], ["row versions", "WAL, vacuum"]),
            Link("worker", ["workers"], ["one core each", "round trips"]),
            Link("engine", ["engine"], ["primary shards", "replicas"]),
        ],
    )
]
STORM = [
    Chain(
        "What is struck, and how",
        [
            Link("postgres", ["PostgreSQL"], ["sessions ended", "rows locked"]),
            Link("worker", ["workers"], ["kill -9, SIGTERM", "stopped, suspended"]),
            Link("plain", ["fault proxy"], ["429, 502, resets", "late, cut off"]),
            Link("engine", ["engine"], ["nodes killed", "nodes frozen"]),
        ],
    ),
    Chain(
        "Who looks",
        [
            Link("engine", ["documents"], ["all the time"]),
            Link("plain", ["reader"], ["none is older than before"]),
        ],
    ),
    Chain(
        "",
        [
            Link("postgres", ["rows and documents"], ["in the end"]),
            Link("plain", ["judge"], ["they are the same"]),
        ],
    ),
]


def pictures() -> dict[str, Markup]:
    """Name and SVG of each."""
    return {
        "comparison": chains("Three ways of a change from PostgreSQL to an index", COMPARISON),
        "engines": chains("A worker speaks to four engines by one client", ENGINES),
        "pipeline": chains("From a transaction through the outbox and a worker into the index", PIPELINE),
        "scaling": chains("What limits each part of the pipeline", SCALING),
        "storm": chains("What the storm strikes, and who looks", STORM),
    }

"""Our tables, of which the first migration makes what is missing; a test compares a migrated database.

A table that was adopted may have more columns, and other lengths of texts.
"""

from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

from outboxctl.core.schema import names
from outboxctl.domain.failures import Reason

METADATA = sa.MetaData()
TIME = sa.DateTime(timezone=True)


def _required(name: str, kind: Any, default: str | None = None, **more: Any) -> sa.Column[Any]:
    return sa.Column(name, kind, nullable=False, server_default=default and sa.text(default), **more)


def _id() -> sa.Column[Any]:
    return _required("id", sa.Uuid, "gen_random_uuid()", primary_key=True)


def _singleton() -> sa.Column[Any]:
    return _required("singleton", sa.Boolean, "true", primary_key=True)


def _index(name: str, *columns: str, where: str, unique: bool = False) -> sa.Index:
    return sa.Index(name, *map(sa.text, columns), postgresql_where=sa.text(where), unique=unique)


# entity_key: the text of the document's key, or with `follow` the changed row's columns as JSON. follow:
# the followed table, in an event that stands for all documents behind one of its rows. follow_cursor: the
# last key of the pages that have been expanded. traceparent: W3C Trace Context.
# Indexes are few: every further one is paid for at each of an event's three writes. next: the claim's two
# ranges of each projection; processing: reclaim and the stuck scan; failed: the operator's commands;
# reclaimed: events that are claimed apart; follow: those of one followed table, the begun ones (a cursor)
# apart.
EVENTS = sa.Table(
    names.EVENTS,
    METADATA,
    _id(),
    _required("entity_type", sa.String(50)),
    _required("entity_id", sa.Uuid),
    _required("op", sa.String(20)),
    sa.Column("event_version", sa.BigInteger),
    _required("status", sa.String(20), "'pending'"),
    sa.Column("owner", sa.String(120)),
    sa.Column("lease_token", sa.Uuid),
    sa.Column("lease_until", TIME),
    sa.Column("processing_started_at", TIME),
    _required("attempts", sa.Integer, "0"),
    sa.Column("next_retry_at", TIME),
    sa.Column("processed_at", TIME),
    sa.Column("error_reason", sa.String(80)),
    sa.Column("error", sa.Text),
    _required("replay_count", sa.Integer, "0"),
    sa.Column("last_replayed_at", TIME),
    sa.Column("last_replayed_by", sa.String(120)),
    sa.Column("last_replayed_reason", sa.Text),
    _required("created_at", TIME, "now()"),
    _required("updated_at", TIME, "now()"),
    sa.Column("traceparent", sa.String(55)),
    sa.Column("entity_key", sa.Text),
    sa.Column("follow", sa.SmallInteger),
    sa.Column("follow_cursor", sa.Text),
    _index(names.DUE, names.OF_PROJECTION, "next_retry_at", "created_at", where="status = 'pending'"),
    _index("ix_search_outbox_events_processing", "lease_until", where="status = 'processing'"),
    _index("ix_search_outbox_events_failed", "created_at", where="status = 'failed'"),
    _index(
        "ix_search_outbox_events_reclaimed",
        "created_at",
        where=f"status = 'pending' AND error_reason = '{Reason.LEASE_EXPIRED}'",
    ),
    _index(
        "ix_search_outbox_events_follow",
        *("entity_type", "follow", "num_nulls(follow_cursor)", "created_at"),
        where="status = 'pending' AND next_retry_at = 'infinity' AND follow IS NOT NULL",
    ),
)
SOURCE = sa.Table(
    names.SOURCE,
    METADATA,
    _id(),
    _required("entity_type", sa.String(50)),
    _required("entity_id", sa.Uuid),
    sa.Column("library_id", sa.Uuid),
    sa.Column("text", sa.Text),
    sa.Column("snippet", sa.Text),
    sa.Column("rank_score", sa.Double),
    sa.Column("event_version", sa.BigInteger),
    _required("created_at", TIME, "now()"),
    _required("updated_at", TIME, "now()"),
)
# One audit row a batch; the rows of one act share act_id (NULL: the row is an act by itself). What the
# events said before the act is kept beside their ids, in the same order: an undo puts it back.
AUDIT = sa.Table(
    names.AUDIT,
    METADATA,
    _id(),
    _required("at", TIME, "now()"),
    _required("action", sa.String(20)),
    _required("operator", sa.String(120)),
    _required("reason", sa.Text),
    _required("filters", JSONB),
    _required("affected", sa.BigInteger),
    _required("event_ids", ARRAY(sa.Uuid)),
    sa.Column("act_id", sa.Uuid),
    sa.Column("before_reasons", ARRAY(sa.Text)),
    sa.Column("before_errors", ARRAY(sa.Text)),
    sa.Column("before_attempts", ARRAY(sa.Integer)),
    sa.Column("before_times", ARRAY(TIME)),
    sa.Column("logged_in_as", sa.Text, server_default=sa.text("session_user")),
    sa.Index("ix_outbox_operator_audit_at", sa.text("at DESC")),
    _index("ix_outbox_operator_audit_act", "act_id", where="act_id IS NOT NULL"),
)
# The marker and the version base are one row each.
MARKER = sa.Table(
    names.MARKER,
    METADATA,
    _singleton(),
    _required("environment", sa.String(20)),
    _required("written_at", TIME, "now()"),
    sa.CheckConstraint("singleton"),
    sa.CheckConstraint("environment IN ('dev', 'test', 'sandbox', 'prod')"),
)
# One unended row an alias: a rebuild that was killed is found there, and goes on. `body` is the new index
# as it shall be in the end; `caught_up_to` the moment up to which events have been followed.
REBUILDS = sa.Table(
    names.REBUILDS,
    METADATA,
    _id(),
    _required("action", sa.String(20)),
    _required("alias", sa.String(255)),
    sa.Column("old_index", sa.String(255)),
    _required("new_index", sa.String(255)),
    _required("concrete", sa.Boolean),
    _required("body", JSONB),
    _required("phase", sa.String(20)),
    _required("copied", sa.BigInteger, "0"),
    _required("caught_up", sa.BigInteger, "0"),
    _required("healed", sa.BigInteger, "0"),
    _required("refused", sa.BigInteger, "0"),
    _required("caught_up_to", TIME, "now()"),
    _required("operator", sa.String(120)),
    _required("reason", sa.Text),
    _required("grace_seconds", sa.Double),
    _required("started_at", TIME, "now()"),
    _required("updated_at", TIME, "now()"),
    sa.Column("swapped_at", TIME),
    sa.Column("ended_at", TIME),
    sa.Column("kept_index", sa.String(255)),
    sa.Column("kept_until", TIME),
    _index("uq_outbox_rebuilds_under_way", "alias", where="ended_at IS NULL", unique=True),
)
PROJECTIONS = sa.Table(
    names.PROJECTIONS,
    METADATA,
    sa.Column("name", sa.String(50), primary_key=True),
    _required("definition", JSONB),
    _required("applied_at", TIME, "now()"),
    _required("applied_by", sa.String(120)),
)
# The versions of projected documents: base + serial number of the snapshot that read them; the server and
# its timeline are those for which the base holds.
VERSION_BASE = sa.Table(
    names.VERSION_BASE,
    METADATA,
    _singleton(),
    _required("base", sa.BigInteger, "0"),
    sa.Column("system_identifier", sa.Text),
    sa.Column("timeline", sa.Text),
    _required("raised_at", TIME, "now()"),
    sa.CheckConstraint("singleton"),
)
# One row for each delivered delete, until it has been repeated for the last time. projection: as in the
# metrics; document_id ends with the whole key, even if the `_id` has a hash of it; index_name: only if a
# column chooses the index; routing: not used, but written by workers of a former version. A document that is
# deleted twice has two rows.
DELETES = sa.Table(
    names.DELETES,
    METADATA,
    sa.Column("id", sa.BigInteger, sa.Identity(always=True), primary_key=True),
    _required("projection", sa.Text),
    _required("document_id", sa.Text),
    _required("version", sa.BigInteger),
    _required("routing", sa.Text, "''"),
    _required("index_name", sa.Text, "''"),
    _required("delivered_at", TIME, "now()"),
    _required("due_at", TIME),
    sa.Index("ix_outbox_deletes_due", "projection", "due_at"),
)
# A row an address that the document of a key may have (core/delivery/places.py): it is written before
# anything is sent there. `opened` by whoever sends there; `content`, if all that was sent is confirmed, is a
# hash of it. Rows are found by their address and by their key.
PLACES = sa.Table(
    names.PLACES,
    METADATA,
    _required("projection", sa.Text, primary_key=True),
    _required("document_id", sa.Text, primary_key=True),
    _required("index_name", sa.Text, primary_key=True),
    _required("entity_id", sa.Uuid, primary_key=True),
    _required("entity_key", sa.Text),
    sa.Column("opened", sa.Uuid),
    sa.Column("content", sa.LargeBinary),
    sa.Index("ix_outbox_places_entity", "projection", "entity_id"),
    postgresql_with={"fillfactor": 80},
)
# A row a worker process, written again at every heartbeat: room for HOT updates. progress_at: when it last
# completed an event, or saw none waiting. outages: what takes nothing, and for how many seconds then.
WORKERS = sa.Table(
    names.WORKERS,
    METADATA,
    sa.Column("id", sa.Uuid, primary_key=True),
    _required("worker_id", sa.String(120)),
    _required("host", sa.String(255)),
    _required("pid", sa.Integer),
    _required("version", sa.String(40)),
    _required("started_at", TIME),
    _required("heartbeat_at", TIME),
    _required("in_flight", sa.Integer),
    _required("outage_policy", sa.String(10)),
    _required("circuit_open", sa.Boolean),
    sa.Column("rate_in", sa.Double),
    sa.Column("rate_out", sa.Double),
    sa.Column("progress_at", TIME),
    sa.Column("login", sa.String(63)),
    sa.Column("outages", JSONB),
    postgresql_with={"fillfactor": 50},
)

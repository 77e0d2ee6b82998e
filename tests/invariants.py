"""What must hold after anything: every test of the worker ends with it."""

from typing import Any, Protocol

import psycopg

from outboxctl.settings import Settings

MAX_ATTEMPTS: int = Settings.model_fields["max_attempts"].default
PAGE = 1_000  # documents a request
# A traceback of a thread that ended, or of one that goes on.
UNEXPECTED = ("Traceback", "unexpected error")


def unexpected_errors(log: str) -> list[str]:
    """The lines of a worker's log that show an error which no rule expects; there must be none, ever."""
    return [line for line in log.splitlines() if any(sign in line for sign in UNEXPECTED)]


class Engine(Protocol):
    """What can be asked for documents by their ids: Elasticsearch's client is one."""

    def mget(self, *, index: str, ids: list[str], source: bool) -> Any:
        """The parsed answer, or what can be read as such."""
        ...


def check_invariants(
    sql: psycopg.Connection,
    engine: Engine,
    index: str,
    *,
    rows: int,
    max_attempts: int = MAX_ATTEMPTS,
    entity_type: str | None = None,
) -> None:
    """No row lost, none half held, no attempt too many; each `done` row is true of the index.

    With an `entity_type`, of its events alone.
    """
    found = sql.execute(
        "SELECT e.entity_type || ':' || e.entity_id, e.status, e.event_version, e.attempts,"
        " num_nonnulls(e.owner, e.lease_token, e.lease_until, e.processing_started_at), s.event_version"
        " FROM search_outbox_events e LEFT JOIN search_index s USING (entity_type, entity_id)"
        " WHERE %(kind)s::text IS NULL OR e.entity_type = %(kind)s",
        {"kind": entity_type},
    ).fetchall()
    assert len(found) == rows
    assert all(held == 0 for _, status, _, _, held, _ in found if status != "processing")
    assert max(attempts for _, _, _, attempts, _, _ in found) <= max_attempts
    indexed = versions(engine, index, sorted({row[0] for row in found}))
    for id_, status, version, _, _, source in found:
        if status == "done":
            here = indexed.get(id_)
            assert here >= version if here is not None else source is None, f"{id_} is not there"


def versions(engine: Engine, index: str, ids: list[str]) -> dict[str, Any]:
    """The version of each document by id."""
    found: dict[str, Any] = {}
    for start in range(0, len(ids), PAGE):
        docs = engine.mget(index=index, ids=ids[start : start + PAGE], source=False)["docs"]
        found |= {doc["_id"]: doc["_version"] for doc in docs if doc.get("found")}
    return found

"""The drills of projections."""

from dataclasses import replace
from typing import Any

from drills.labs.breakages import Breakage


def changes_of_parents_are_dropped() -> None:
    """An event that stands for the documents behind a row is done without any of them."""
    from outboxctl.core.delivery import settle
    from outboxctl.core.projections import follow, follow_keys

    honest = follow.expand

    def expand(connection: Any, projection: Any, event: Any, token: str, **more: Any) -> Any:
        if event.place < 0:  # every document: those that are there at first
            return honest(connection, projection, event, token, **more)
        settle.complete(connection, token, [event.id])
        return follow.Page(0, end=True)

    follow.expand = expand
    follow_keys.read_set = lambda *_, **__: []


def one_bad_row_fails_all() -> None:
    """What PostgreSQL says of one row counts for all that were read with it."""
    from outboxctl.domain.failures import Classification, Reason, Verdict
    from outboxctl.worker.reading import Reading

    def refused(self: Any, events: Any, _kind: Any, words: str) -> None:
        self._judge(events, Classification(Verdict.FAIL, Reason.BAD_DOCUMENT, error=words))

    Reading._refused = refused  # type: ignore[method-assign, assignment]


def a_change_is_one_page() -> None:
    """All documents behind a row are written at once, before events of others."""
    from outboxctl.core.projections import follow

    follow.HALF = 10**6  # type: ignore[attr-defined]


def the_index_knows_best() -> None:
    """Versions are never raised, and what the index refuses as old counts as delivered."""
    from outboxctl.core.projections import documents, version_base
    from outboxctl.worker import projecting

    unchecked = f"SELECT b.base + {version_base.SERIAL} AS version FROM outbox_version_base b"
    documents.version_sql = lambda server: unchecked  # type: ignore[attr-defined]  # noqa: ARG005
    honest = projecting._settled
    projecting._settled = lambda finding: replace(honest(finding), noop=None)


BREAKAGES: dict[str, Breakage] = {
    "projection-child-storm": changes_of_parents_are_dropped,
    "projection-bad-row": one_bad_row_fails_all,
    "projection-fanout": a_change_is_one_page,
    "projection-standby": the_index_knows_best,
}

"""An in-memory document store with Elasticsearch's `external_gte` versions and tombstones."""

import threading
from collections.abc import Iterable
from enum import StrEnum
from itertools import pairwise
from typing import Any, NamedTuple

from outboxctl.drills.proxy.wire import BulkOperation

FORGOTTEN = "forgotten"
CONFLICT = "version_conflict_engine_exception"
REQUIRE_ALIAS = "no such index [{0}] and [require_alias] request flag is [true] and [{0}] is not an alias"


class Kind(StrEnum):
    """What stands behind the index's name."""

    ALIAS = "alias"
    INDEX = "index"
    MISSING = "missing"


class Held(NamedTuple):
    """A document, or with None its tombstone."""

    version: int
    document: bytes | None


class Write(NamedTuple):
    """One write that was applied; a delete counts also where there was nothing to delete.

    The op is FORGOTTEN where its tombstone ended: what comes next may be older.
    """

    op: str
    version: int


class Store:
    """One index. `history` holds every applied write by id, in the order of their application."""

    def __init__(self, kind: Kind = Kind.ALIAS) -> None:
        self.kind = kind
        self.drops: set[str] = set()  # ids that an ingest pipeline drops
        self.history: dict[str, list[Write]] = {}
        self._held: dict[str, Held] = {}
        self._lock = threading.Lock()

    def bulk(
        self, actions: Iterable[BulkOperation], *, index: str, require_alias: bool = False
    ) -> dict[str, Any]:
        """Apply the actions in order; the answer's body. Like the real one it creates a missing index."""
        with self._lock:
            if require_alias and self.kind is not Kind.ALIAS:
                error = {"type": "index_not_found_exception", "reason": REQUIRE_ALIAS.format(index)}
                items = [a.refused(404, error) for a in actions]
            else:
                self.kind = Kind.INDEX if self.kind is Kind.MISSING else self.kind
                items = [self._apply(action) for action in actions]
        errors = any("error" in outcome for item in items for outcome in item.values())
        return {"took": 0, "errors": errors, "items": items}

    def versions(self) -> dict[str, int]:
        """The version of every document that is there."""
        return {id_: held.version for id_, held in self.documents().items()}

    def documents(self) -> dict[str, Held]:
        """Every document that is there, by id."""
        with self._lock:
            return {id_: held for id_, held in self._held.items() if held.document is not None}

    def forget_tombstones(self) -> None:
        """`index.gc_deletes` has passed: from now on a late, older write finds nothing in its way."""
        with self._lock:
            for id_, held in self._held.items():
                if held.document is None:
                    self.history[id_].append(Write(FORGOTTEN, held.version))
            self._held = {id_: held for id_, held in self._held.items() if held.document is not None}

    def steps_back(self, *, remembered: bool = False) -> list[str]:
        """Ids that were ever overwritten by something older: an old document, or one that was deleted.

        With `remembered` only where no tombstone had ended in between.
        """
        with self._lock:
            return [id_ for id_, writes in self.history.items() if _steps_back(writes, remembered)]

    def _apply(self, action: BulkOperation) -> dict[str, Any]:
        if action.document is not None and action.id in self.drops:
            outcome = {"_id": action.id, "_version": -3, "result": "noop", "status": 200}
            return {action.verb: outcome}
        held, version = self._held.get(action.id), int(action.meta["version"])
        if held and version < held.version:
            reason = (
                f"[{action.id}]: version conflict, current version [{held.version}]"
                f" is higher than the one provided [{version}]"
            )
            return action.refused(409, {"type": CONFLICT, "reason": reason})
        there = held is not None and held.document is not None
        self._held[action.id] = Held(version, action.document)
        self.history.setdefault(action.id, []).append(Write(action.verb, version))
        if action.document is None:
            result, status = ("deleted", 200) if there else ("not_found", 404)
        else:
            result, status = ("updated", 200) if there else ("created", 201)
        outcome = {"_id": action.id, "_version": version, "result": result, "status": status}
        return {action.verb: outcome}


def _steps_back(writes: list[Write], remembered: bool) -> bool:
    return any(
        later.version < earlier.version
        for earlier, later in pairwise(writes)
        if not (remembered and earlier.op == FORGOTTEN)
    )

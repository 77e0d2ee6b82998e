"""The application of the model: source rows of a few entities, each change with its event."""

from dataclasses import dataclass, field
from uuid import UUID, uuid5

import psycopg

from outboxctl.core.produce import enqueue

NAMES = UUID(int=7)
ENTITIES = [uuid5(NAMES, name) for name in "abc"]
# `vanish`: the row goes, and its event is an upsert. `again`: an event that changes nothing.
CHANGES = ["write", "write", "delete", "vanish", "again upsert", "again delete"]
WRITE = """INSERT INTO search_index (id, entity_type, entity_id, event_version, text, created_at, updated_at)
VALUES (gen_random_uuid(), 'block', %s, %s, %s, now(), now())
ON CONFLICT (entity_type, entity_id) DO UPDATE
SET event_version = excluded.event_version, text = excluded.text"""


def document_id(entity: UUID) -> str:
    """Its id in the index."""
    return f"block:{entity}"


@dataclass
class Application:
    """Versions of an entity only grow, also beyond a deletion; a row's text names its version."""

    sql: psycopg.Connection
    versions: dict[UUID, int] = field(default_factory=lambda: dict.fromkeys(ENTITIES, 0))
    there: set[UUID] = field(default_factory=set)
    events: int = 0

    def change(self, entity: UUID, what: str, older: int) -> tuple[str, int]:
        """Do one of CHANGES; the id and version of its event. A repeated event may be so much older."""
        if what.startswith("again"):
            version = max(0, self.versions[entity] - older)
            return self._announce(entity, version, what.rpartition(" ")[2])
        self.versions[entity] += 1
        version = self.versions[entity]
        with self.sql.transaction():
            if what == "write":
                self.sql.execute(WRITE, [entity, version, f"v{version}"])
                self.there.add(entity)
            else:
                self.sql.execute("DELETE FROM search_index WHERE entity_id = %s", [entity])
                self.there.discard(entity)
            return self._announce(entity, version, "delete" if what == "delete" else "upsert")

    def _announce(self, entity: UUID, version: int, op: str) -> tuple[str, int]:
        self.events += 1
        id_ = UUID(int=self.events)
        enqueue(self.sql, entity_type="block", entity_id=entity, op=op, event_version=version, event_id=id_)
        return str(id_), version

    def source(self) -> dict[str, int]:
        """The version of every source row, by document id: what the index must come to."""
        return {document_id(entity): self.versions[entity] for entity in self.there}

"""An index that agrees with its rows, and ways to damage it behind the tool's back."""

import json
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import Any, NamedTuple

import psycopg
from elasticsearch import Elasticsearch

FILL = """
INSERT INTO search_index (id, entity_type, entity_id, library_id, text, snippet, rank_score, event_version)
SELECT gen_random_uuid(), (ARRAY['block', 'page', 'x:y'])[1 + n %% 3], gen_random_uuid(), gen_random_uuid(),
       'text "' || n || '" \\ ü', 'text', n / 7.0, 1 + n %% 5
FROM generate_series(1, %s) n
"""
DOCUMENTS = """
SELECT entity_type || ':' || entity_id, event_version, to_json(d)::text FROM (
    SELECT id, entity_type, entity_id, library_id, text, snippet, rank_score, event_version, created_at,
           updated_at FROM search_index) d ORDER BY 1
"""
ENTITY = "entity_type = %s AND entity_id = %s"
UNTOLD = "UPDATE search_index SET event_version = event_version + 1, text = 'newer' WHERE " + ENTITY
FORGOTTEN = "DELETE FROM search_index WHERE " + ENTITY


class Victim(NamedTuple):
    """One entity with its document."""

    id: str
    version: int
    text: str

    @property
    def key(self) -> list[str]:
        """Its entity's type and id."""
        kind, _, entity = self.id.rpartition(":")
        return [kind, entity]


Lines = list[Any]
Damage = tuple[str, str, Lines]
WAYS = (
    "deleted",
    "untold",
    "forgotten",
    "altered",
    "updated",
    "put",
    "added",
    "copied",
    "stray",
    "keyless",
    "swapped",
)


@dataclass(frozen=True)
class Ground:
    """A database and an index, to be filled, damaged and looked at by plain means."""

    sql: psycopg.Connection[Any]
    engine: Elasticsearch
    index: str

    @classmethod
    def filled(cls, sql: psycopg.Connection[Any], engine: Elasticsearch, index: str, rows: int) -> "Ground":
        """One with so many rows and their documents."""
        ground = cls(sql, engine, index)
        ground.fill(rows)
        return ground

    def fill(self, rows: int) -> None:
        """So many rows, each with its document as a worker would have written it."""
        self.sql.execute(FILL, [rows])
        self.write(self.documents())

    def documents(self) -> list[Victim]:
        """The document of every row."""
        with self.sql.transaction():
            self.sql.execute("SET LOCAL TimeZone = 'UTC'")
            return [Victim(*row) for row in self.sql.execute(DOCUMENTS)]

    def write(self, documents: list[Victim]) -> None:
        """Put documents of these versions into the index."""
        for start in range(0, len(documents), 2_000):
            self.bulk([line for one in documents[start : start + 2_000] for line in overwrite(one)])

    def bulk(self, lines: Lines) -> None:
        """One bulk request of which every item must succeed."""
        if lines:
            answer = self.engine.bulk(index=self.index, operations=lines, refresh=True)
            assert not answer["errors"], answer

    def damage(self, rng: Random, total: int, ways: Sequence[str] = WAYS) -> dict[str, set[str]]:
        """Damage `total` entities, in each way as many; returns the ids by the kind that they are of now."""
        victims = rng.sample(self.documents(), total)
        expected: dict[str, set[str]] = {}
        lines: Lines = []
        for n, victim in enumerate(victims):
            kind, id_, more = getattr(self, ways[n % len(ways)])(victim)
            expected.setdefault(kind, set()).add(id_)
            lines += more
        self.bulk(lines)
        return expected

    def deleted(self, victim: Victim) -> Damage:
        """A plain delete leaves a tombstone one version above the row."""
        return "missing", victim.id, [{"delete": {"_id": victim.id}}]

    def untold(self, victim: Victim) -> Damage:
        """A row changed without an event."""
        self.sql.execute(UNTOLD, victim.key)
        return "stale", victim.id, []

    def forgotten(self, victim: Victim) -> Damage:
        """A row deleted without an event."""
        self.sql.execute(FORGOTTEN, victim.key)
        return "extra", victim.id, []

    def altered(self, victim: Victim) -> Damage:
        """Another content at the very version."""
        return "different", victim.id, overwrite(victim, snippet="altered")

    def updated(self, victim: Victim) -> Damage:
        """The update API: `_version` grows, the body's event_version stays."""
        return "ahead", victim.id, [{"update": {"_id": victim.id}}, {"doc": {"more": True}}]

    def put(self, victim: Victim) -> Damage:
        """The same body again, one version on."""
        return "ahead", victim.id, [{"index": {"_id": victim.id}}, json.loads(victim.text)]

    def added(self, victim: Victim) -> Damage:
        """A document of an entity that never was, of the same version and much the same key."""
        body = json.loads(victim.text)
        new = victim.id[:-1] + ("0" if victim.id[-1] != "0" else "1")
        body["entity_id"] = new.rpartition(":")[2]
        return "extra", new, overwrite(Victim(new, victim.version, json.dumps(body)))

    def copied(self, victim: Victim) -> Damage:
        """A document whose id no event can name."""
        new = f"{victim.id} (copy)"
        return "extra", new, [{"index": {"_id": new}}, json.loads(victim.text)]

    def stray(self, victim: Victim) -> Damage:
        """A document without a key in its body."""
        new = f"stray:{uuid.uuid5(uuid.NAMESPACE_URL, victim.id)}"
        return "extra", new, [{"index": {"_id": new}}, {"entity_type": "page"}]

    def keyless(self, victim: Victim) -> Damage:
        """The document of a row, without its key."""
        return "different", victim.id, overwrite(Victim(victim.id, victim.version, "{}"))

    def swapped(self, victim: Victim) -> Damage:
        """A document whose body says that it is another entity."""
        other = str(uuid.uuid5(uuid.NAMESPACE_URL, victim.id))
        return "different", victim.id, overwrite(victim, entity_id=other, entity_type="zebra")

    def assert_same(self) -> None:
        """The index holds exactly the rows' documents."""
        self.engine.indices.refresh(index=self.index)
        expected = {id_: (version, json.loads(text)) for id_, version, text in self.documents()}
        assert self.engine.count(index=self.index)["count"] == len(expected)
        ids = list(expected)
        for start in range(0, len(ids), 1_000):
            for doc in self.engine.mget(index=self.index, ids=ids[start : start + 1_000])["docs"]:
                assert doc["found"], doc
                assert (doc["_version"], doc["_source"]) == expected[doc["_id"]]


def overwrite(victim: Victim, **changes: object) -> Lines:
    """The lines that write a document at the very version of its row."""
    head = {"_id": victim.id, "version": victim.version, "version_type": "external_gte"}
    return [{"index": head}, json.loads(victim.text) | changes]

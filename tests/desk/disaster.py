"""An index that agrees with its rows, and ways to damage it behind the tool's back."""

import json
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from random import Random
from typing import Any

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
KINDS = ("deleted", "stale", "altered", "updated", "put", "extra", "foreign", "stray", "misplaced")


@dataclass(frozen=True)
class Ground:
    """A database and an index, to be filled, damaged and looked at by plain means."""

    sql: psycopg.Connection[Any]
    engine: Elasticsearch
    index: str

    def fill(self, rows: int) -> None:
        """So many rows, each with its document as a worker would have written it."""
        self.sql.execute(FILL, [rows])
        self.write([*self.documents()])

    def documents(self) -> Iterator[tuple[str, int, str]]:
        """Id, version and text of the document of every row."""
        with self.sql.transaction():
            self.sql.execute("SET LOCAL TimeZone = 'UTC'")
            yield from self.sql.execute(DOCUMENTS).fetchall()

    def write(self, documents: list[tuple[str, int, str]], kind: str = "external_gte") -> None:
        """Put documents of these versions into the index."""
        for start in range(0, len(documents), 2_000):
            lines: list[Any] = []
            for id_, version, text in documents[start : start + 2_000]:
                lines += [{"index": {"_id": id_, "version": version, "version_type": kind}}, json.loads(text)]
            self.bulk(lines)

    def bulk(self, lines: list[Any]) -> None:
        """One bulk request of which every item must succeed."""
        if lines:
            answer = self.engine.bulk(index=self.index, operations=lines, refresh=True)
            assert not answer["errors"], answer

    def damage(self, rng: Random, total: int) -> dict[str, set[str]]:
        """Damage `total` entities in every way there is; the ids by the kind that verify should find."""
        rows = list(self.documents())
        shares = [len(part) for part in _parts(total, len(KINDS))]
        victims = iter(rng.sample(rows, total))
        expected: dict[str, set[str]] = {
            kind: set() for kind in ("missing", "extra", "stale", "ahead", "altered")
        }
        for way, share in zip(KINDS, shares, strict=True):
            lines: list[Any] = []
            for victim in (next(victims) for _ in range(share)):
                kind, id_ = getattr(self, f"_{way}")(lines, *victim)
                expected[kind].add(id_)
            self.bulk(lines)
        return {kind: ids for kind, ids in expected.items() if ids}

    def _deleted(self, lines: list[Any], id_: str, _version: int, _text: str) -> tuple[str, str]:
        lines.append({"delete": {"_id": id_}})  # leaves a tombstone one version above the row
        return "missing", id_

    def _stale(self, lines: list[Any], id_: str, version: int, _text: str) -> tuple[str, str]:
        kind, _, entity = id_.rpartition(":")
        self.sql.execute(
            "UPDATE search_index SET event_version = %s, text = 'newer' WHERE (entity_type, entity_id) = (%s, %s)",
            [version + 1, kind, entity],
        )
        return "stale", id_

    def _altered(self, lines: list[Any], id_: str, version: int, text: str) -> tuple[str, str]:
        body = json.loads(text) | {"snippet": "altered"}
        lines += [{"index": {"_id": id_, "version": version, "version_type": "external_gte"}}, body]
        return "altered", id_

    def _updated(self, lines: list[Any], id_: str, _version: int, _text: str) -> tuple[str, str]:
        lines += [{"update": {"_id": id_}}, {"doc": {"more": True}}]  # its event_version stays
        return "ahead", id_

    def _put(self, lines: list[Any], id_: str, _version: int, text: str) -> tuple[str, str]:
        lines += [{"index": {"_id": id_}}, json.loads(text)]  # the same body, one version on
        return "ahead", id_

    def _extra(self, lines: list[Any], id_: str, version: int, text: str) -> tuple[str, str]:
        body = json.loads(text) | {"entity_id": str(uuid.uuid4())}
        new = f"{body['entity_type']}:{body['entity_id']}"
        lines += [{"index": {"_id": new, "version": version, "version_type": "external_gte"}}, body]
        return "extra", new

    def _foreign(self, lines: list[Any], id_: str, version: int, text: str) -> tuple[str, str]:
        new = f"copy of {id_}"
        lines += [{"index": {"_id": new}}, json.loads(text)]
        return "extra", new

    def _stray(self, lines: list[Any], id_: str, version: int, text: str) -> tuple[str, str]:
        new = f"page:{uuid.uuid4()}"
        lines += [{"index": {"_id": new}}, {"entity_type": "page"}]
        return "extra", new

    def _misplaced(self, lines: list[Any], id_: str, version: int, text: str) -> tuple[str, str]:
        body = json.loads(text) | {"entity_id": str(uuid.uuid4())}
        lines += [{"index": {"_id": id_, "version": version, "version_type": "external_gte"}}, body]
        return "altered", id_

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


def _parts(total: int, number: int) -> list[range]:
    """`total` in `number` parts as equal as can be."""
    return [range(total * n // number, total * (n + 1) // number) for n in range(number)]

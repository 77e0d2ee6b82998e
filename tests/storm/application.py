"""The application: threads that write source rows and their events, as one does that keeps the rules."""

from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from random import Random
from uuid import UUID

import psycopg

from outboxctl import enqueue

KIND = "block"
PER_TRANSACTION = 20
WRITE = """
INSERT INTO search_index (id, entity_type, entity_id, text, snippet, rank_score, event_version)
VALUES (gen_random_uuid(), %s, %s, %s, %s, %s, %s)
ON CONFLICT (entity_type, entity_id) DO UPDATE SET text = excluded.text, snippet = excluded.snippet,
    rank_score = excluded.rank_score, event_version = excluded.event_version, updated_at = now()
"""
REMOVE = "DELETE FROM search_index WHERE entity_type = %s AND entity_id = %s"


@dataclass
class Entity:
    """What its author knows of it: the version grows through deletion and re-creation."""

    id: UUID
    version: int = 0
    op: str = "upsert"

    @property
    def document(self) -> str:
        """The id of its document."""
        return f"{KIND}:{self.id}"


class Author:
    """One writer with entities of its own, so that their versions grow as they are committed.

    It writes to some of them for a while, then to the next ones: what is lost on the way stays lost,
    no later event heals it.
    """

    def __init__(self, url: str, rng: Random, events: int, *, hot: int, per_entity: int) -> None:
        self._hot, self._per_entity = hot, per_entity
        total = events // per_entity + hot
        self.entities = [Entity(UUID(int=rng.getrandbits(128))) for _ in range(total)]
        self.committed = 0
        self._rng, self._sql = rng, psycopg.connect(url, autocommit=True)
        self._acts = {self._upsert: 60, self._delete: 15, self._vanish: 5, self._repeat: 10, self._late: 10}

    def write(self, events: int) -> None:
        """Write so many events, some in each transaction."""
        while events > 0:
            some = min(events, PER_TRANSACTION)
            first = self.committed // self._per_entity
            hot = self.entities[first : first + self._hot]
            with self._sql.transaction(), self._sql.pipeline():
                for entity in self._rng.choices(hot, k=some):
                    self._act(entity)
            self.committed += some
            events -= some

    def close(self) -> None:
        """Close its connection."""
        self._sql.close()

    def _act(self, entity: Entity) -> None:
        if not entity.version:
            return self._upsert(entity)
        return self._rng.choices([*self._acts], [*self._acts.values()])[0](entity)

    def _upsert(self, entity: Entity) -> None:
        entity.version, entity.op = entity.version + 1, "upsert"
        text = f"version {entity.version} {self._rng.random()}"
        values = [KIND, entity.id, text * 5, text, self._rng.random(), entity.version]
        self._sql.execute(WRITE, values)
        self._tell(entity, entity.op, entity.version)

    def _delete(self, entity: Entity) -> None:
        self._remove(entity, "delete")

    def _vanish(self, entity: Entity) -> None:
        """An upsert event whose source row is gone."""
        self._remove(entity, "upsert")

    def _remove(self, entity: Entity, op: str) -> None:
        entity.version, entity.op = entity.version + 1, op
        self._sql.execute(REMOVE, [KIND, entity.id])
        self._tell(entity, op, entity.version)

    def _repeat(self, entity: Entity) -> None:
        self._tell(entity, entity.op, entity.version)

    def _late(self, entity: Entity) -> None:
        """An event that is older than what has been written since."""
        op = self._rng.choice(["upsert", "delete"])
        self._tell(entity, op, self._rng.randint(1, entity.version))

    def _tell(self, entity: Entity, op: str, version: int) -> None:
        enqueue(self._sql, entity_type=KIND, entity_id=entity.id, op=op, event_version=version)


@dataclass
class Application:
    """Authors, each in a thread of its own."""

    authors: list[Author]
    _threads: list[ThreadPoolExecutor] = field(init=False)
    _under_way: list[Future[None]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._threads = [ThreadPoolExecutor(1) for _ in self.authors]

    @property
    def committed(self) -> int:
        """Events that are in the outbox for good."""
        return sum(author.committed for author in self.authors)

    def some(self, some: int) -> list[Entity]:
        """So many entities, written at all times of the storm."""
        all_ = [entity for author in self.authors for entity in author.entities]
        return all_[:: max(1, len(all_) // some)]

    def write(self, events: int) -> None:
        """Have so many more events written; returns at once."""
        share, rest = divmod(events, len(self.authors))
        for number, (author, thread) in enumerate(zip(self.authors, self._threads, strict=True)):
            self._under_way.append(thread.submit(author.write, share + (number < rest)))

    def finish(self) -> None:
        """Wait until all is written; raises what went wrong in a thread."""
        for each in self._under_way:
            each.result()

    def close(self) -> None:
        """End the threads and their connections."""
        for thread in self._threads:
            thread.shutdown(cancel_futures=True)
        for author in self.authors:
            author.close()

"""What is looked at in a cluster while it storms: the versions that each copy holds."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from http.client import HTTPException
from time import monotonic
from typing import Any

import psycopg

from engines.node import Node
from search_cluster import SearchCluster
from storm.application import Entity
from storm.nodes.copies import PATIENCE, Copy, active
from storm.nodes.truth import Damage, damage

SETTLED = """
SELECT entity_id, max(event_version) FROM search_outbox_events
WHERE status = 'done' AND entity_id = ANY (%s) GROUP BY 1
"""


class CopyLooks:
    """`counted` answers of copies that must know all, and those `left_out`, by the reason.

    A document that is wrong from one look to a later one is wrong once: `damages` counts these, `steps_back`
    says them unless they came back, and `longest` is how long one was seen to be back, in seconds.
    """

    def __init__(self, cluster: SearchCluster, index: str, entities: Sequence[Entity]) -> None:
        self.counted, self.left_out = 0, Counter[str]()
        self.damages: Counter[Damage] = Counter()
        self.steps_back: list[str] = []
        self.longest = 0.0
        self._cluster, self._index = cluster, index
        self._entities = {entity.document: entity for entity in entities}
        node = Node(cluster.nodes[0].url)
        self._shards = {id_: _shard(node, index, id_) for id_ in self._entities}
        self._copies: frozenset[Copy] | None = None
        self._since: dict[str, float] = {}  # when a document was first seen to be wrong

    def look(self, sql: psycopg.Connection) -> None:
        """Ask every node that runs for its copies."""
        before = self._copies or active(self._cluster, self._index)
        entities = [entity.id for entity in self._entities.values()]
        settled = {str(id_): version for id_, version in sql.execute(SETTLED, [entities]).fetchall()}
        answers = {node.name: self._ask(node.url) for node in self._cluster.nodes if node.state == "up"}
        after = self._copies = active(self._cluster, self._index)
        if before is None or after is None:
            self.left_out["no leader"] += sum(map(len, answers.values()))
        else:
            self._judge(answers, {(copy.shard, copy.node) for copy in before & after}, settled)

    def _ask(self, url: str) -> dict[str, int | None]:
        """The versions that a node's own copies hold, None without a document; empty without an answer."""
        path = f"/{self._index}/_mget?_source=false&preference=_only_local"
        try:
            status, answer = Node(url, PATIENCE).ask("POST", path, {"ids": [*self._entities]})
        except (OSError, HTTPException, ValueError):
            status, answer = 0, {}
        docs: list[dict[str, Any]] = answer["docs"] if status == 200 else []
        return {doc["_id"]: doc.get("_version") for doc in docs if "error" not in doc}

    def _judge(
        self,
        answers: Mapping[str, Mapping[str, int | None]],
        copies: set[tuple[int, str]],
        settled: Mapping[str, int],
    ) -> None:
        found: dict[str, list[tuple[str, Damage]]] = defaultdict(list)
        for name, versions in answers.items():
            for id_, held in versions.items():
                if (self._shards[id_], name) not in copies:
                    self.left_out["not an active copy all the time"] += 1
                    continue
                self.counted += 1
                entity = self._entities[id_]
                newest = settled.get(str(entity.id), 0)
                wrong = damage(held, settled=newest, removed=[*entity.removed])
                text = f"{id_} is at {held} on {name}, done at {newest}, deleted at {entity.removed}"
                found[id_] += [(text, wrong)] if wrong else []
        for id_, each in found.items():
            self._note(id_, each)

    def _note(self, id_: str, wrong: Sequence[tuple[str, Damage]]) -> None:
        """One document of which some copy has answered."""
        if not wrong:
            self._since.pop(id_, None)
            return
        text, kind = wrong[0]
        if id_ not in self._since:
            self._since[id_] = monotonic()
            self.damages[kind] += 1
            self.steps_back += [f"{kind}: {text}"] * (kind is not Damage.RESURRECTED)
        if kind is Damage.RESURRECTED:
            self.longest = max(self.longest, monotonic() - self._since[id_])


def _shard(node: Node, index: str, id_: str) -> int:
    answer = node.ok("GET", f"/{index}/_search_shards?routing={id_}")
    return int(answer["shards"][0][0]["shard"])

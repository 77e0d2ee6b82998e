"""The cluster's part of one storm: the weather of its nodes, the looks at their copies, and the judgement."""

from collections.abc import Iterable, Sequence

import psycopg

from search_cluster import SearchCluster
from storm.application import Entity
from storm.nodes import attempts
from storm.nodes.looks import CopyLooks
from storm.nodes.report import NodesReport
from storm.nodes.truth import Damage
from storm.nodes.weather import NodeWeather
from storm.plan import Plan, Site

WAITING = "SELECT count(*) FROM outbox_deletes"


class NodesPart:
    """From its beginning attempts are noted; the weather begins later."""

    def __init__(self, plan: Plan, site: Site, cluster: SearchCluster, sql: psycopg.Connection) -> None:
        attempts.note(sql)
        self._cluster, self._index, self._sql = cluster, site.index, sql
        self.weather = NodeWeather(plan, site, cluster)
        self._looks: CopyLooks | None = None

    def look_at(self, entities: Sequence[Entity]) -> CopyLooks:
        """At their documents; every node must be up."""
        self._looks = CopyLooks(self._cluster, self._index, entities)
        return self._looks

    def quiet(self) -> bool:
        """Whether no delete waits to be sent again."""
        return self._sql.execute(WAITING).fetchone() == (0,)

    def judge(self, struck: Iterable[tuple[str, float]]) -> tuple[NodesReport, list[str]]:
        """The figures, and what is wrong. `struck`: workers' names, and when, in seconds of the epoch."""
        explained, lost = attempts.lost(self._sql, struck)
        report = NodesReport(
            what=self._what(),
            roles={role.value: count for role, count in self.weather.roles.items()},
            attempts_explained=explained,
            attempts_lost=dict(lost),
        )
        wrong = [f"{count} attempts lost: {reason}" for reason, count in lost.items()]
        if self._looks:
            damages = self._looks.damages
            report.counted, report.left_out = self._looks.counted, dict(self._looks.left_out)
            report.went_back, report.was_gone = damages[Damage.BACK], damages[Damage.GONE]
            report.came_back, report.back_seconds = damages[Damage.RESURRECTED], self._looks.longest
        return report, wrong + self.weather.errors

    def close(self) -> None:
        """Its nodes return."""
        self.weather.close()

    def _what(self) -> str:
        health = self._cluster.health(self._index)
        primaries, copies = health["active_primary_shards"], health["active_shards"]
        return f"{self._cluster.kind}, {len(self._cluster.nodes)} nodes, {primaries} shards, {copies} copies"

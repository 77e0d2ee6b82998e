"""The cluster: disks, the settings that matter to an outbox, and what this user may do with the index."""

from dataclasses import dataclass
from typing import Any

from outboxctl.domain.failures import Answer
from outboxctl.sink.roles import GRANTS, READS, WRITES
from outboxctl.sink.transport.client import Client
from outboxctl.sink.transport.request import ask, refused, require_answer

ALLOCATION = ("cluster", "routing", "allocation")
SETTINGS = ",".join(
    f"*.{each}"
    for each in (
        "action.auto_create_index",
        "cluster.routing.allocation.disk.threshold_enabled",
        "cluster.routing.allocation.enable",
    )
)
PATIENCE = "3s"  # that the node that is asked waits for the answers of the others
DISKS = "nodes.*.name,nodes.*.fs.data"
HTTP = "nodes.*.http.max_content_length_in_bytes"


@dataclass(frozen=True)
class Disk:
    """A node's disk in bytes: what is free, and the marks below which the cluster acts.

    Below `low` no new shard comes, below `high` shards move away, below `flood` indexes turn read-only.
    A mark is 0 where the server does not name it. `total` is the size of the disk, 0 where it has none.
    """

    node: str
    free: int
    low: int
    high: int
    flood: int
    total: int

    @property
    def used(self) -> float:
        """The share that is used, 0 to 1."""
        return 1 - self.free / self.total if self.total else 0.0


@dataclass(frozen=True)
class Cluster:
    """Disks, whether the cluster acts on how full they are (`watched`), and the settings that matter.

    `auto_create` is `action.auto_create_index` as the server has it; `request_limit` in bytes, 0 unknown.
    `allocation` is `cluster.routing.allocation.enable`: which shards are given a node.
    """

    disks: list[Disk]
    auto_create: str
    request_limit: int
    allocation: str = "all"
    watched: bool = True


def cluster(client: Client) -> Cluster:
    """Read the cluster's facts. Raises RefusedError or UnreachableError."""
    settings = require_answer(
        client, "GET", "_cluster", "settings", include_defaults=True, filter_path=SETTINGS
    )
    http = require_answer(client, "GET", "_nodes", "http", timeout=PATIENCE, filter_path=HTTP)
    limits = [node["http"]["max_content_length_in_bytes"] for node in http.get("nodes", {}).values()]
    watched = _setting(settings, *ALLOCATION, "disk", "threshold_enabled") != "false"
    return Cluster(
        _disks(client),
        _setting(settings, "action", "auto_create_index") or "true",
        min(limits, default=0),
        _setting(settings, *ALLOCATION, "enable") or "all",
        watched,
    )


def _disks(client: Client) -> list[Disk]:
    stats = require_answer(client, "GET", "_nodes", "stats", "fs", timeout=PATIENCE, filter_path=DISKS)
    return [
        Disk(node.get("name") or id_, disk["available_in_bytes"], *_marks(disk), disk["total_in_bytes"])
        for id_, node in stats.get("nodes", {}).items()
        for disk in node.get("fs", {}).get("data", [])
    ]


def _marks(disk: dict[str, Any]) -> tuple[int, int, int]:
    names = ("low_watermark", "high_watermark", "flood_stage")
    low, high, flood = (disk.get(f"{name}_free_space_in_bytes", 0) for name in names)
    return low, high, flood


def _setting(settings: dict[str, Any], *path: str) -> str:
    """The setting in force: transient before persistent before the node's or the built-in default."""
    for level in ("transient", "persistent", "defaults"):
        value: Any = settings.get(level, {})
        for step in path:
            value = value.get(step, {}) if isinstance(value, dict) else {}
        if value != {}:
            return str(value)
    return ""


OPERATOR = ("manage",)
# Security is off, or the product has none: then there is no such API, and nothing is lacking.
NO_SUCH_API = frozenset({400, 404, 405})


@dataclass(frozen=True)
class SinkRights:
    """Index privileges that are lacking, by what they are for."""

    worker: list[str]
    reader: list[str]
    operator: list[str]


def rights(client: Client, name: str) -> SinkRights:
    """Ask the security API. Raises RefusedError or UnreachableError."""
    lacking = set(_lacking(client, name, (*WRITES, *READS, *OPERATOR)))
    return SinkRights(*([p for p in some if p in lacking] for some in (WRITES, READS, OPERATOR)))


def lacking_of_worker(client: Client, name: str) -> list[str]:
    """The privileges that a worker lacks on the index of a projection. Raises as `rights`."""
    (worker,) = [grant for grant in GRANTS if grant.role == "worker"]
    return _lacking(client, name, (*worker.index, *worker.projected))


def _lacking(client: Client, name: str, privileges: tuple[str, ...]) -> list[str]:
    wanted = [{"names": [name], "privileges": list(privileges)}]
    answer = ask(client, "POST", "_security", "user", "_has_privileges", body={"index": wanted})
    if isinstance(answer, Answer):
        if answer.status not in NO_SUCH_API:
            raise refused(answer)
        return []
    held = answer.get("index", {}).get(name, {})
    return [p for p in privileges if held.get(p) is False]

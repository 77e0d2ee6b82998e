"""The cluster: its disks, and what this user may do with an index."""

from dataclasses import dataclass
from typing import Any

from outboxctl.sink.roles import GRANTS, READS
from outboxctl.sink.transport.client import Client
from outboxctl.sink.transport.request import request

WATCHED = "cluster.routing.allocation.disk.threshold_enabled"
PATIENCE = "3s"  # that the node that is asked waits for the answers of the others
DISKS = "nodes.*.name,nodes.*.fs.data"


@dataclass(frozen=True)
class Disk:
    """A node's disk in bytes: what is free, and the mark below which shards move away (0: not named)."""

    node: str
    free: int
    high: int


def disks(client: Client) -> list[Disk]:
    """All disks; none where the cluster does not act on how full they are. Raises as `request`."""
    only = f"*.{WATCHED}"
    settings = request(client, "GET", "_cluster", "settings", include_defaults=True, filter_path=only)
    if _setting(settings, WATCHED) == "false":
        return []
    stats = request(client, "GET", "_nodes", "stats", "fs", timeout=PATIENCE, filter_path=DISKS)
    return [
        Disk(
            node.get("name") or id_,
            disk["available_in_bytes"],
            int(disk.get("high_watermark_free_space_in_bytes", 0)),
        )
        for id_, node in stats.get("nodes", {}).items()
        for disk in node.get("fs", {}).get("data", [])
    ]


def _setting(settings: dict[str, Any], path: str) -> str:
    """The setting in force: transient before persistent before the node's or the built-in default."""
    for level in ("transient", "persistent", "defaults"):
        value: Any = settings.get(level, {})
        for step in path.split("."):
            value = value.get(step, {}) if isinstance(value, dict) else {}
        if value != {}:
            return str(value)
    return ""


OPERATOR = ("manage",)
# Security is off, or the product has none: then there is no such API, and nothing is lacking.
NO_SUCH_API = frozenset({400, 404, 405})


@dataclass(frozen=True)
class SinkRights:
    """Privileges on `index` that are lacking, by what they are for."""

    index: str
    worker: list[str]
    reader: list[str]
    operator: list[str]


def rights(client: Client, index: str, *, projected: bool = False) -> SinkRights:
    """Ask the security API; `projected`: for the index of a projection, whose documents a worker lists.

    Raises as `request`.
    """
    (grant,) = [each for each in GRANTS if each.role == "worker"]
    worker = (*grant.index, *grant.projected) if projected else grant.index
    reader = [privilege for privilege in READS if privilege not in worker]
    lacking = set(_lacking(client, index, (*worker, *reader, *OPERATOR)))
    return SinkRights(index, *([p for p in some if p in lacking] for some in (worker, reader, OPERATOR)))


def _lacking(client: Client, name: str, privileges: tuple[str, ...]) -> list[str]:
    wanted = [{"names": [name], "privileges": list(privileges)}]
    path = ("_security", "user", "_has_privileges")
    answer = request(client, "POST", *path, absent=NO_SUCH_API, body={"index": wanted}) or {}
    held = answer.get("index", {}).get(name, {})
    return [p for p in privileges if held.get(p) is False]

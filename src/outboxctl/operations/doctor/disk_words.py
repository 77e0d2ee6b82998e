"""How full the disks are beside the block `read_only_allow_delete`, and whether the engine lifts it.

The engine sets this block on the indexes of a node whose disk is above its flood stage, and lifts it from
every index, whoever set it, while the disks of its nodes are below their high watermark: at each look at the
disks (`cluster.info.update.interval`, 30 s by default). Where `threshold_enabled` is false it does neither
(Elasticsearch's and OpenSearch's `DiskThresholdMonitor.java`).
"""

from outboxctl.operations.doctor.remedies import size
from outboxctl.sink.inspect.cluster import Cluster, Disk

DISK_BLOCK = "read_only_allow_delete"
THRESHOLD = "cluster.routing.allocation.disk.threshold_enabled"


def disk_words(cluster: Cluster | None) -> str:
    """How full the disks are, and what the engine does about the block; None: this user may not read that."""
    if cluster is None:
        return "How full the disks are is not known: this user or key may not read the cluster (`monitor`)."
    if not cluster.disks:
        return "No node reports how full its disk is."
    fullest = max(cluster.disks, key=lambda disk: disk.used)
    if not cluster.watched:
        return (
            f"{_used(fullest)} The engine does not watch its disks ({THRESHOLD} is false): it does not lift"
            " the block, and somebody set it, or the engine did before that setting."
        )
    if over := next((disk for disk in cluster.disks if disk.free < disk.high), None):
        return (
            f"{_used(over)} That is above its high watermark ({size(over.high)} free): free space or add a"
            " node; the engine lifts the block by itself once the disk is below it."
        )
    if not fullest.high:
        return (
            f"{_used(fullest)} This server does not report its watermarks: it lifts the block by itself once"
            " each disk is below the high one (90 % by default)."
        )
    return (
        f"{_used(fullest)} No disk is above its high watermark: somebody set the block, or a disk was full;"
        " the engine lifts it by itself at its next look at the disks (each 30 s by default)."
    )


def comes_back(cluster: Cluster | None) -> bool:
    """Whether a disk is so full that the engine would set the block again."""
    return bool(cluster and cluster.watched and any(disk.free < disk.flood for disk in cluster.disks))


def _used(disk: Disk) -> str:
    return f"The disk of node {disk.node} is {disk.used:.0%} used."

"""The index that a peer writes to, and how far it has got."""

from collections.abc import Callable
from time import monotonic, sleep

from outboxctl.drills.bench.rig import Rig, must
from outboxctl.sink.index.index_setup import MAPPING, SETTINGS, count
from outboxctl.sink.transport.request import ask, demand

PATIENCE = 300.0  # seconds
LOOK = 0.02  # seconds between two looks at the index's own counter, which costs it next to nothing


def fresh(rig: Rig, name: str) -> None:
    """The same mapping and settings as the product's, so that the engine has the same work."""
    ask(rig.client, "DELETE", name)  # if it is there
    demand(rig.client, "PUT", name, body={"mappings": MAPPING, "settings": SETTINGS})


def written(rig: Rig, name: str) -> int:
    """Documents written so far, a second version counted again."""
    stats = demand(rig.client, "GET", name, "_stats", "indexing")
    return int(stats["_all"]["primaries"]["indexing"]["index_total"])


def wait_written(rig: Rig, name: str, least: int) -> None:
    """Wait until so many have been written, whether or not a search finds them yet."""
    wait_until(lambda: written(rig, name) >= least, f"{least} writes to {name}")


def wait_version(rig: Rig, name: str, version: int, documents: int) -> None:
    """Wait until a search finds so many documents of this version."""
    body = {"query": {"term": {"event_version": version}}}

    def found() -> bool:
        count(rig.client, name)  # refreshes
        return int(demand(rig.client, "POST", name, "_count", body=body)["count"]) == documents

    wait_until(found, f"{documents} documents of version {version} in {name}")


def wait_until(holds: Callable[[], bool], what: str) -> None:
    """Raises OutboxctlError if it does not come true in time."""
    end = monotonic() + PATIENCE
    while not holds():
        must(monotonic() < end, f"waited in vain for {what}")
        sleep(LOOK)

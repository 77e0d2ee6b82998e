"""The drills of a cluster."""

import json
import os
import urllib.request
from collections.abc import Callable
from contextlib import suppress
from importlib import import_module
from typing import Any

from drills.labs.breakages import Breakage

URLS = "ELASTIC_URL"


def an_outage_burns_attempts() -> None:
    """The other outage policy is set."""
    os.environ["OUTBOX_OUTAGE_POLICY"] = "count"


def attempts_are_few() -> None:
    """An event fails at its first attempt."""
    os.environ["OUTBOX_MAX_ATTEMPTS"] = "1"


def knows_one_url() -> None:
    """The first URL alone, and an outage costs attempts."""
    os.environ[URLS] = os.environ[URLS].split(",")[0]
    os.environ["OUTBOX_SINK_NODES"] = "named"
    an_outage_burns_attempts()


def knows_the_leader_alone() -> None:
    """It was told of one node, which leads."""
    _know(lambda state: state["master_node"])


def knows_the_primary_alone() -> None:
    """It was told of one node, which has the first shard's primary."""

    def primary(state: Any) -> Any:
        (index,) = state["routing_table"]["indices"].values()
        return next(copy["node"] for copy in index["shards"]["0"] if copy["primary"])

    _know(primary)


def deletes_are_sent_once() -> None:
    """A delete that was delivered is forgotten."""
    deleting_again: Any = import_module("outboxctl.worker.deleting_again")
    deleting_again.DeletesAgain.turn = lambda _: None


def _know(chosen: Callable[[Any], Any]) -> None:
    index = os.environ["ELASTIC_INDEX"]
    for url in os.environ[URLS].split(","):
        with suppress(OSError):
            local = _get(url, "/_nodes/_local/name")["nodes"]
            if chosen(_get(url, f"/_cluster/state/master_node,routing_table/{index}")) in local:
                os.environ[URLS] = url
                return


def _get(url: str, path: str) -> Any:
    with urllib.request.urlopen(f"{url}{path}", timeout=10) as answer:  # noqa: S310 - our own
        return json.load(answer)


BREAKAGES: dict[str, Breakage] = {
    "cluster-primary-killed": knows_the_primary_alone,
    "cluster-leader-killed": knows_the_leader_alone,
    "cluster-rolling-restart": knows_one_url,
    "cluster-one-url": knows_one_url,
    "cluster-yellow-commands": knows_one_url,
    "cluster-node-refuses": knows_one_url,
    "cluster-node-silent": knows_one_url,
    "cluster-full-restart": an_outage_burns_attempts,
    "cluster-no-leader": an_outage_burns_attempts,
    "cluster-node-frozen": an_outage_burns_attempts,
    "cluster-red-shard": an_outage_burns_attempts,
    "cluster-too-few-copies": an_outage_burns_attempts,
    "cluster-full-restart-count": attempts_are_few,
    "cluster-no-leader-count": attempts_are_few,
    "cluster-node-frozen-count": attempts_are_few,
    "cluster-red-shard-count": attempts_are_few,
    "cluster-too-few-copies-count": attempts_are_few,
    "cluster-late-write": deletes_are_sent_once,
}

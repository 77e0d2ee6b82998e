"""Which node gets the next request: those that work in turns, others only once they have answered a probe."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from functools import partial
from threading import Condition, Thread
from typing import Any

from elastic_transport import BaseNode, NodeConfig, NodePool

from outboxctl.domain.backoff import Pauses
from outboxctl.domain.clock import monotonic
from outboxctl.sink.transport.connection import UNDER_WAY
from outboxctl.sink.transport.node import NoAnswerError

FIRST_PAUSE, LONGEST_PAUSE = 1.0, 30.0  # seconds between two probes of a node
PROBE_SECONDS = 2.0  # for `GET /`, which a node that works answers at once
# Statuses of a node that works and refuses this very request, as `perform_request` has it and some more.
HEALTHY = frozenset({400, 401, 402, 403, 404, 405, 406, 409, 413, 415})


@dataclass
class NodeHealth:
    """Of a node: it gets requests where it `works`; after failures in a row one decides (`trying`)."""

    works: bool = False
    pauses: Pauses = field(default_factory=partial(Pauses, FIRST_PAUSE, LONGEST_PAUSE))  # between probes
    trying: bool = False
    probing: bool = False
    silent: bool = False  # no answer came in a while

    @property
    def failures(self) -> int:
        """In a row."""
        return self.pauses.failures


class ProbingPool(NodePool):
    """Safe to use from several threads.

    A single node is always taken: there is no other. Of several, each is probed before its first request, and
    again, after growing pauses, once it has failed: by a thread of its own, so that no request waits for a
    doubtful node while another works.
    """

    def __init__(self, node_configs: list[NodeConfig], node_class: type[BaseNode], **more: Any) -> None:
        super().__init__(node_configs, node_class, **more)
        self._changed = Condition()
        self._health = {node: NodeHealth() for node in super().all()}

    def __len__(self) -> int:
        return len(self._health)

    def all(self) -> list[BaseNode]:
        """All nodes, whatever their state."""
        return list(self._health)

    @property
    def failing(self) -> bool:
        """Whether a node has failed, and not worked since."""
        with self._changed:
            return any(health.failures for health in self._health.values())

    def get(self) -> BaseNode:
        """The node for the next request; if none works, one in turns, silent ones last."""
        with self._changed:
            for node, health in self._health.items():
                if health.works and health.failures and not health.trying:
                    health.trying = True
                    return node
            well = [n for n, h in self._health.items() if h.works and not h.failures]
            refusing = [n for n, h in self._health.items() if not h.silent]
            return self.node_selector.select(well or refusing or self.all())

    def mark_live(self, node: BaseNode) -> None:
        """A request was answered by this node as by one that works."""
        with self._changed:
            if node in self._health:
                self._health[node] = NodeHealth(works=True)
                self._changed.notify_all()

    def mark_dead(self, node: BaseNode, _now: float | None = None) -> None:
        """A request failed; one that was under way when the node was left alone is not counted."""
        if UNDER_WAY.get().status in HEALTHY:
            self.mark_live(node)
            return
        with self._changed:
            if node in self._health and (self._health[node].works or not self._health[node].failures):
                self._leave_alone(self._health[node])

    def ready(self, seconds: float) -> None:
        """Probe what is due; wait, so long at most, while nothing but first probes will tell what works."""
        if len(self._health) == 1:
            return
        with self._changed:
            now = monotonic()
            for node, health in self._health.items():
                if not health.works and not health.probing and health.pauses.due(now):
                    health.probing = True
                    Thread(target=self._probe, args=(node,), name="probe", daemon=True).start()
            self._changed.wait_for(self._decided, min(PROBE_SECONDS, seconds))

    def replace(self, configs: Collection[NodeConfig]) -> None:
        """Have exactly these nodes, known ones as they are."""
        for config in configs:
            self.add(config)
        known: Sequence[BaseNode] = super().all()
        with self._changed:
            gone = [node for node in self._health if node.config not in configs]
            kept = [node for node in known if node.config in configs]
            self._health = {node: self._health.get(node) or NodeHealth() for node in kept}
        with self._all_nodes_write_lock:
            for node in gone:  # `add` makes another one, should it come back
                del self._all_nodes[node.config]
        for node in gone:
            node.close()

    def _decided(self) -> bool:
        health = self._health.values()
        return any(h.works for h in health) or not any(h.probing and not h.failures for h in health)

    def _probe(self, node: BaseNode) -> None:
        """After failures its next request decides, so that it is not probed to be well and fails for ever."""
        works = False
        try:
            status = node.perform_request("GET", "/", request_timeout=PROBE_SECONDS).meta.status
            works = 200 <= status < 300 or status in HEALTHY  # noqa: PLR2004
        except NoAnswerError:
            pass
        finally:
            with self._changed:
                if health := self._health.get(node):
                    health.probing = False
                    if works:
                        health.works, health.trying = True, False
                    elif not health.works:
                        self._leave_alone(health)
                self._changed.notify_all()

    def _leave_alone(self, health: NodeHealth) -> None:
        health.works, health.trying, health.silent = False, False, UNDER_WAY.get().silent
        health.pauses.failed(monotonic())

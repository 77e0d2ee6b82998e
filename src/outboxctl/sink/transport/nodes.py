"""One request to the sink as a whole: sent to a node that works, and to another where that is safe."""

from collections.abc import Callable, Sequence
from threading import Thread

from outboxctl.domain.clock import monotonic
from outboxctl.domain.failures import Answer
from outboxctl.sink.transport.connection import LEAST, Request
from outboxctl.sink.transport.discovery import Discovery
from outboxctl.sink.transport.node import Node
from outboxctl.sink.transport.pool import NodeOutcome, Pool
from outboxctl.sink.transport.reply import SinkReply

Exchange = Callable[[Node, Request, float], SinkReply | Answer]
PROBE_SECONDS = 2.0  # for `GET /`, which a node that works answers at once
CONNECT_SECONDS = 5.0  # for a connection, where there is another node
SLOW = 1.0  # seconds after which a failure counts as silence: such a node is asked last
# Statuses, beside 2xx, of a node that works and refuses this very request.
HEALTHY = frozenset({400, 401, 402, 403, 404, 405, 406, 409, 413, 415})
NOT_YET = frozenset({502, 503, 504})  # it is starting, has no leader, or a proxy does not reach it
# What may be asked of another node again: it changes nothing. A view that was opened twice ends by itself.
READS = frozenset({"GET", "HEAD"})
READING = ("/_search", "/_mget", "/_count", "/_refresh", "/_pit", "/point_in_time", "/_has_privileges")


class Nodes:
    """The nodes of a sink; safe to use from several threads.

    A request that was surely not sent goes to the next node at once, within the same deadline. One that may
    have been sent is sent again only if it reads. Where there are several nodes, they are probed meanwhile,
    by threads of their own, so that no request waits for one that is doubtful (see `Pool`).
    """

    def __init__(
        self,
        nodes: Sequence[Node],
        exchange: Exchange,
        headers: dict[str, str],
        discovery: Discovery | None = None,
    ) -> None:
        self._pool, self._exchange, self._headers = Pool(nodes), exchange, headers
        self._discovery = discovery

    @property
    def all(self) -> list[Node]:
        """Every node, whatever its state."""
        return self._pool.nodes

    def exchange(self, request: Request, deadline: float) -> SinkReply | Answer:
        """Send a request until `deadline` (`clock.monotonic`); an Answer says why there is no reply."""
        self._look_after(deadline)
        tried: list[Node] = []
        replies: list[SinkReply | Answer] = []
        while node := self._pool.take(tried):
            tried.append(node)
            replies.append(self._try(node, request, deadline, others=len(self._pool.nodes) - len(tried)))
            if not _may_repeat(request, replies[-1]) or monotonic() >= deadline - LEAST:
                return replies[-1]
        return max(replies, key=_telling)

    def close(self) -> None:
        """Close the connections."""
        for node in self._pool.nodes:
            node.close()

    def _try(self, node: Node, request: Request, deadline: float, *, others: int) -> SinkReply | Answer:
        """Send it to one node; while there are others, a part of the time is kept for them."""
        began = monotonic()
        seconds = left = max(LEAST, deadline - began)
        if others > 0:
            request = request._replace(connecting=min(CONNECT_SECONDS, left / (others + 1)))
            seconds = left / 2 if _reads(request) else left
        reply: SinkReply | Answer | None = None
        try:
            reply = self._exchange(node, request, seconds)
        finally:
            outcome = _outcome(reply, monotonic() - began)
            if self._pool.note(node, outcome, monotonic()) and self._discovery:
                self._discovery.hurry(monotonic())
        return reply

    def _look_after(self, deadline: float) -> None:
        """Start what is due; wait only where no node is known to work, and the first probes are under way."""
        due = self._pool.due(monotonic())
        for node in due:
            Thread(target=self._probe, args=(node,), name="probe", daemon=True).start()
        if self._discovery and self._discovery.due(monotonic()):
            Thread(target=self._discover, name="discovery", daemon=True).start()
        if len(self._pool.nodes) > 1:
            self._pool.wait(min(PROBE_SECONDS, (deadline - monotonic()) / 2))

    def _probe(self, node: Node) -> None:
        began, reply = monotonic(), None
        try:
            reply = node.exchange(Request("GET", "/", None, dict(self._headers)), PROBE_SECONDS)
        finally:
            self._pool.probed(node, _outcome(reply, monotonic() - began), monotonic())

    def _discover(self) -> None:
        assert self._discovery  # noqa: S101 - for the type checker
        reply = self._exchange_once(self._discovery.request(self._headers))
        for node in self._discovery.apply(self._pool, reply):
            node.close()

    def _exchange_once(self, request: Request) -> SinkReply | Answer:
        """A request of this object's own, which starts nothing else."""
        node = self._pool.take()
        assert node  # noqa: S101 - a pool is never empty
        return self._try(node, request, monotonic() + CONNECT_SECONDS, others=0)


def _reads(request: Request) -> bool:
    return request.method in READS or (
        request.method == "POST" and request.target.partition("?")[0].endswith(READING)
    )


def _may_repeat(request: Request, reply: SinkReply | Answer) -> bool:
    """Whether another node may be sent the same: this one got nothing of it, or it changes nothing."""
    if isinstance(reply, Answer):
        return reply.kind != "client" and (reply.unsent or _reads(request))
    return reply.status in NOT_YET and _reads(request)


def _telling(reply: SinkReply | Answer) -> int:
    """How much it says of the sink: that a node is gone says least, what a node says of itself most."""
    if isinstance(reply, Answer):
        return 0 if reply.unsent else 1
    return 2


def _outcome(reply: SinkReply | Answer | None, seconds: float) -> NodeOutcome:
    if isinstance(reply, SinkReply):
        return NodeOutcome.WORKS if reply.ok or reply.status in HEALTHY else NodeOutcome.FAILS
    return NodeOutcome.SILENT if seconds >= SLOW else NodeOutcome.FAILS

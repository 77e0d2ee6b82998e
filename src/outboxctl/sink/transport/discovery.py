"""Using the nodes that the cluster names (OUTBOX_SINK_NODES=discovered), beside those of ELASTIC_URL."""

from collections.abc import Callable, Sequence
from threading import Lock

from outboxctl.domain.clock import monotonic
from outboxctl.domain.failures import Answer, classify
from outboxctl.sink.transport.connection import Request
from outboxctl.sink.transport.node import Node
from outboxctl.sink.transport.pool import Pool
from outboxctl.sink.transport.published import FILTER, PATH, urls_of
from outboxctl.sink.transport.reply import SinkReply, body_of, parsed

INTERVAL = 60.0  # seconds between two looks at the cluster
SOON = 5.0  # the same, after a node has failed, or nothing could be learnt
NOT_NAMED = "the cluster does not name its nodes, so those of ELASTIC_URL are used alone"
NOT_REACHED = (
    "no node answers at the addresses that the cluster names, so those of ELASTIC_URL are used alone"
)


class Discovery:
    """Safe to use from several threads. `make` makes a node of a URL; `named` are those of ELASTIC_URL.

    Those stay for good, as the official clients' seeds do: they are never replaced by nothing. `say` gets a
    sentence, once each, where the cluster cannot be asked or its addresses do not answer.
    """

    def __init__(
        self, named: Sequence[Node], make: Callable[[str], Node], like: str, say: Callable[[str], object]
    ) -> None:
        self._named, self._make, self._like, self._say = list(named), make, like, say
        self._found: dict[str, Node] = {}
        self._said: set[str] = set()
        self._lock, self._next, self._last = Lock(), 0.0, 0.0

    def due(self, now: float) -> bool:
        """Whether the caller is to ask now; it alone, for a while."""
        with self._lock:
            if now < self._next:
                return False
            self._next, self._last = now + INTERVAL, now
            return True

    def hurry(self, now: float) -> None:
        """Ask soon: a node has failed."""
        with self._lock:
            self._next = min(self._next, max(now, self._last + SOON))

    def request(self, headers: dict[str, str]) -> Request:
        """What to ask."""
        return Request("GET", f"{PATH}?filter_path={FILTER}", None, dict(headers))

    def apply(self, pool: Pool[Node], reply: SinkReply | Answer) -> list[Node]:
        """Have the pool hold the named nodes and those in the reply; returns the nodes that have left it."""
        if self._found and not any(map(pool.ever_worked, self._found.values())):
            self._once(NOT_REACHED)
        answer = body_of(reply if isinstance(reply, Answer) else parsed(reply))
        urls = [] if isinstance(answer, Answer) else urls_of(answer, self._like)
        if not urls:
            self._once(f"{NOT_NAMED}: {classify(answer).error}" if isinstance(answer, Answer) else NOT_NAMED)
            self.hurry(monotonic())
            return []
        known = {node.url for node in self._named}
        self._found = {url: self._found.get(url) or self._make(url) for url in urls if url not in known}
        return pool.replace([*self._named, *self._found.values()])

    def _once(self, text: str) -> None:
        with self._lock:
            if text in self._said:
                return
            self._said.add(text)
        self._say(text)

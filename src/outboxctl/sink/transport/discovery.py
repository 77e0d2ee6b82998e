"""The nodes that the cluster names, used beside those of ELASTIC_URL (OUTBOX_SINK_NODES=discovered)."""

from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from threading import Thread
from typing import Any

from elastic_transport import NodeConfig, SniffOptions, Transport

from outboxctl.domain.clock import monotonic
from outboxctl.domain.failures import Answer, classify
from outboxctl.net.urls import check_sink_urls, parse_url
from outboxctl.sink.transport.node import NoAnswerError, SinkNode, url_of
from outboxctl.sink.transport.pool import ProbingPool
from outboxctl.sink.transport.reply import SinkReply, body_of

PATH = "/_nodes/http"
FILTER = "nodes.*.roles,nodes.*.http.publish_address"
# A node with no other role takes part in elections, and is not meant to take requests. The official clients
# leave out those whose only role is the first; a voting-only one is no better.
ELECTING = frozenset({"master", "cluster_manager", "voting_only", "remote_cluster_client"})
INTERVAL = 30.0  # seconds between two looks at the cluster
SOONER = 5.0  # the same, while a node fails
LOOK_SECONDS = 4.0  # less than that, so that there is one look at a time
ALONE = "so those of ELASTIC_URL are used alone"
NOT_NAMED = f"the cluster does not name its nodes, {ALONE}"
NOT_REACHED = f"no node answers at the addresses that the cluster names, {ALONE}"


class Discovery:
    """The `sniff_callback` of a transport; `named` are the nodes of ELASTIC_URL.

    Those stay for good: they are never replaced by nothing. `say` gets a sentence, once each, where the
    cluster cannot be asked or its addresses do not answer.
    """

    def __init__(self, named: Sequence[NodeConfig], say: Callable[[str], object]) -> None:
        self._named, self._say = list(named), lru_cache(None)(say)
        self._found: list[NodeConfig] = []
        self._next = 0.0

    def __call__(self, transport: Transport, _: SniffOptions) -> list[NodeConfig]:
        """Look by a thread of its own, so that no request waits for it."""
        pool = transport.node_pool
        assert isinstance(pool, ProbingPool)  # noqa: S101 - for the type checker
        if pool.failing or monotonic() >= self._next:
            self._next = monotonic() + INTERVAL
            Thread(target=self._look, args=(transport, pool), name="discovery", daemon=True).start()
        return []

    def _look(self, transport: Transport, pool: ProbingPool) -> None:
        found = [node for node in pool.all() if node.config in self._found]
        if found and not any(isinstance(node, SinkNode) and node.answered for node in found):
            self._say(NOT_REACHED)
        answer = _published(transport)
        urls = urls_of(answer, url_of(self._named[0]))
        if not urls:
            self._say(f"{NOT_NAMED}: {classify(answer).error}" if isinstance(answer, Answer) else NOT_NAMED)
            return
        parts = map(parse_url, urls)
        made = [self._named[0].replace(host=part.hostname, port=part.port) for part in parts]
        self._found = [config for config in made if config not in self._named]
        pool.replace([*self._named, *self._found])


def _published(transport: Transport) -> object | Answer:
    try:
        target = f"{PATH}?filter_path={FILTER}"
        meta, body = transport.perform_request("GET", target, request_timeout=LOOK_SECONDS)
    except NoAnswerError as error:
        return error.answer
    return body_of(SinkReply(meta.status, meta.headers, body))


def urls_of(body: Any, like: str) -> list[str]:
    """The URLs in an answer to `GET /_nodes/http`, sorted, as `like` but without credentials; any `body`."""
    nodes = body.get("nodes") if isinstance(body, dict) else None
    found = (_address(node) for node in (nodes.values() if isinstance(nodes, dict) else ()))
    return sorted({url for address in found if address for url in _url(address, like)})


def _address(node: Any) -> str | None:
    """`host:port`; with a host name set, servers publish `name/address:port`, and certificates have names."""
    try:
        roles, address = frozenset(node["roles"]), str(node["http"]["publish_address"])
    except (KeyError, TypeError):
        return None
    if roles and roles <= ELECTING:  # one without a role passes requests on
        return None
    name, slash, numeric = address.partition("/")
    return f"{name}:{numeric.rpartition(':')[2]}" if slash else address


def _url(address: str, like: str) -> Iterator[str]:
    """One, or none where it cannot be a URL of the sink."""
    host, colon, port = address.rpartition(":")
    if not colon or not host or not port.isdecimal() or set(address) & set("@/?#,\\"):
        return
    base = parse_url(like)
    try:
        yield from check_sink_urls(f"{base.scheme}://{address}{base.path.rstrip('/')}")
    except ValueError:
        return

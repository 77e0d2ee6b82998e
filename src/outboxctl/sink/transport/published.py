"""The URLs at which the nodes of a cluster take requests, as the cluster itself names them."""

from collections.abc import Iterator
from typing import Any

from outboxctl.net.urls import check_sink_urls, parse_url

PATH = "/_nodes/http"
FILTER = "nodes.*.roles,nodes.*.http.publish_address"
# A node with no other role takes part in elections, and is not meant to take requests. The official clients
# leave out those whose only role is the first; a voting-only one is no better.
ELECTING = frozenset({"master", "cluster_manager", "voting_only", "remote_cluster_client"})
COORDINATING: frozenset[str] = (
    frozenset()
)  # a node without a role passes requests on, which is what it is for


def urls_of(body: Any, like: str) -> list[str]:
    """The URLs in an answer to `GET /_nodes/http`, sorted, with scheme and path of the URL `like`.

    No credentials, whatever `like` holds. An address that is none is left out; `body` may be anything.
    """
    nodes = body.get("nodes") if isinstance(body, dict) else None
    base = parse_url(like)
    found = (_address(node) for node in (nodes.values() if isinstance(nodes, dict) else ()))
    return sorted({url for address in found if address for url in _url(base.scheme, address, base.path)})


def _address(node: Any) -> str | None:
    """`host:port`; with a host name set, servers publish `name/address:port`, and certificates have names."""
    try:
        roles, address = frozenset(node["roles"]), str(node["http"]["publish_address"])
    except (KeyError, TypeError):
        return None
    if roles != COORDINATING and roles <= ELECTING:
        return None
    name, slash, numeric = address.partition("/")
    return f"{name}:{numeric.rpartition(':')[2]}" if slash else address


def _url(scheme: str, address: str, path: str) -> Iterator[str]:
    """One, or none where it cannot be a URL of the sink."""
    host, colon, port = address.rpartition(":")
    if not colon or not host or not port.isdecimal() or set(address) & set("@/?#,\\"):
        return
    try:
        yield from check_sink_urls(f"{scheme}://{address}{path.rstrip('/')}")
    except ValueError:
        return

"""URLs that a cluster names for its nodes: whatever it answers, no address that is none is sent to."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outboxctl.net.urls import parse_url
from outboxctl.sink.transport.discovery import urls_of

pytestmark = pytest.mark.no_servers
DATA = ["cluster_manager", "data", "ingest", "remote_cluster_client"]


def _named(*addresses: Any, roles: Any = DATA) -> dict[str, Any]:
    nodes = enumerate(addresses)
    return {"nodes": {str(n): {"roles": roles, "http": {"publish_address": each}} for n, each in nodes}}


def test_nodes_have_the_scheme_and_the_path_of_the_url_and_no_credentials() -> None:
    answer = _named("10.0.0.1:9200", "es-2.example/10.0.0.2:9201", "[::1]:9202")
    assert urls_of(answer, "https://user:password@lb.example:443/search/") == [
        "https://10.0.0.1:9200/search",
        "https://[::1]:9202/search",
        "https://es-2.example:9201/search",
    ]


@pytest.mark.parametrize("roles", [["master"], ["cluster_manager"], ["master", "voting_only"]])
def test_a_node_that_only_elects_gets_no_requests(roles: list[str]) -> None:
    assert urls_of(_named("10.0.0.1:9200", roles=roles), "http://a:1") == []


HOSTILE = [
    "",
    ":",
    "host",
    "host:",
    ":9200",
    "a@b:9200",
    "a:b@c:9200",
    "h:0",
    "h:99999",
    "h h:1",
    "h\n:1",
    "a,b:1",
]


@pytest.mark.parametrize("address", [*HOSTILE, None, 5, [], "evil.example?x:1", "evil.example#x:1", "a\\b:1"])
def test_what_is_no_address_is_left_out(address: Any) -> None:
    assert urls_of(_named("10.0.0.1:9200", address), "http://a:1") == ["http://10.0.0.1:9200"]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=30),
    lambda some: st.lists(some, max_size=3) | st.dictionaries(st.text(max_size=10), some, max_size=3),
    max_leaves=10,
)


@given(JSON | st.builds(_named, JSON, JSON, roles=JSON))
def test_any_answer_gives_urls_or_none(answer: Any) -> None:
    for url in urls_of(answer, "http://a:1/p"):
        assert parse_url(url).hostname
        assert "@" not in url

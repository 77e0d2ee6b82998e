"""A web page that is open in a browser on this machine reaches nothing through a proxy with credentials."""

import json

import pytest
from elasticsearch import Elasticsearch

from drills.chaos.through import ask, bulk, write
from operations.doctor.fronts import front
from outboxctl.drills.proxy import Proxy
from outboxctl.drills.proxy.wire import ProxyReply, ProxyRequest
from servers import Servers

PAGES = {
    "a page's script": {"Origin": "https://evil.example"},
    "a page of the machine's own": {"Origin": "http://127.0.0.1:3000"},
    "a form": {"Sec-Fetch-Site": "cross-site"},
    "a rebound name": {"Host": "evil.example:{port}"},
    "a name that begins as ours": {"Host": "127.0.0.1.evil.example:{port}"},
}
OWN = {
    "curl": {},
    "a name": {"Host": "localhost:{port}"},
    "the other address": {"Host": "[::1]:{port}"},
    "typed into a browser": {"Sec-Fetch-Site": "none"},
}


def filled(headers: dict[str, str], proxy: Proxy) -> dict[str, str]:
    return {name: value.format(port=proxy.url.rpartition(":")[2]) for name, value in headers.items()}


@pytest.mark.parametrize("headers", PAGES.values(), ids=PAGES.keys())
def test_a_web_page_deletes_nothing_by_the_proxys_credentials(
    servers: Servers, engine: Elasticsearch, index: str, headers: dict[str, str]
) -> None:
    reached: list[str] = []

    def hear(asked: ProxyRequest, reply: ProxyReply) -> ProxyReply:
        reached.append(asked.target)
        return reply

    engine.index(index=index, id="kept", document={}, refresh=True)
    with front(servers.sink, {"/": hear}) as url, Proxy(url.replace("//", "//user:hush@")) as proxy:
        seen = ask(
            proxy,
            f"/{index}/_delete_by_query?refresh=true",
            json.dumps({"query": {"match_all": {}}}).encode(),
            "POST",
            {"Content-Type": "application/json", **filled(headers, proxy)},
        )
        assert proxy.counts.requests == 0
    assert seen.status == 403
    assert seen.headers["connection"] == "close"
    assert not [name for name in seen.headers if name.startswith("access-control")]
    assert b"evil" not in seen.body
    assert reached == []
    assert engine.count(index=index)["count"] == 1


@pytest.mark.parametrize("headers", OWN.values(), ids=OWN.keys())
def test_who_means_the_proxy_gets_through(
    servers: Servers, engine: Elasticsearch, index: str, headers: dict[str, str]
) -> None:
    with Proxy(servers.sink) as proxy:
        about = {"Content-Type": "application/json", **filled(headers, proxy)}
        assert ask(proxy, f"/{index}/_bulk", bulk("a"), headers=about).status == 200
        assert write(proxy, index, "b").status == 200
    assert engine.mget(index=index, ids=["a", "b"])["docs"][0]["found"]

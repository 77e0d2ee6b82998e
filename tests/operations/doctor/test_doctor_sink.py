"""The cluster: products, versions and rights, on a real engine or with its answers changed."""

from pathlib import Path
from typing import Any

import psycopg
import pytest
from elasticsearch import Elasticsearch

from operations.doctor.fronts import front, merged, says, with_header
from operations.doctor.ward import Ward
from outboxctl.drills.proxy.wire import ProxyReply, ProxyRequest
from outboxctl.operations.doctor.model import End, FindingSeverity
from outboxctl.sink.roles import READS, WRITES
from servers import Servers
from tls import Papers

pytestmark = pytest.mark.real_engine
# What an OpenSearch 2.19.6 really said.
OPENSEARCH = {"version": {"distribution": "opensearch", "number": "2.19.6"}}
PRIVILEGES = (*WRITES, *READS, "manage")


def _sees(ward: Ward, url: str, *, end: End = End.SINK) -> list[str]:
    ward.monkeypatch.setenv("ELASTIC_URL", url)
    return ward.ids(end)


@pytest.mark.slow(reason="a whole examination for each version")
@pytest.mark.parametrize(
    ("number", "id_"), [("7.17.29", "server-too-old"), ("11.0.0", "server-too-new"), ("8.19.0", None)]
)
def test_versions_are_judged_by_their_number(
    ward: Ward, servers: Servers, number: str, id_: str | None
) -> None:
    with front(servers.sink, {"/": merged(version={"number": number})}) as url:
        assert _sees(ward, url) == ([id_] if id_ else [])


def _opensearch(asked: ProxyRequest, reply: ProxyReply) -> ProxyReply:
    return with_header("X-Elastic-Product", None)(asked, says(200, OPENSEARCH)(asked, reply))


def test_opensearch_behind_a_setting_that_names_the_other(ward: Ward, servers: Servers) -> None:
    with front(servers.sink, {"/*": _opensearch}) as url:
        ward.monkeypatch.setenv("OUTBOX_SINK", "elasticsearch")
        assert "other-client" in _sees(ward, url)
        found = ward.one("other-client", End.SINK)
        assert "opensearch 2.19.6 answers" in found.what
        assert found.mend == "export OUTBOX_SINK=auto"
        ward.monkeypatch.delenv("OUTBOX_SINK")
        assert "other-client" not in ward.ids(End.SINK)


def test_elasticsearch_behind_a_setting_that_names_opensearch(ward: Ward) -> None:
    ward.monkeypatch.setenv("OUTBOX_SINK", "opensearch")
    sees = ward.ids(End.SINK)
    assert "other-client" in sees
    assert not [each for each in sees if each.startswith("server-too")], "versions are of another kind"


def test_who_names_no_product_is_not_elasticsearch(ward: Ward, servers: Servers) -> None:
    with front(servers.sink, {"/*": with_header("X-Elastic-Product", None)}) as url:
        assert "not-elasticsearch" in _sees(ward, url)


def test_credentials_that_are_refused_are_an_error(ward: Ward, servers: Servers) -> None:
    denied = says(401, {"error": {"type": "security_exception", "reason": "unable to authenticate"}})
    with front(servers.sink, {"/*": denied}) as url:
        assert _sees(ward, url) == ["sink-refuses"]
        assert not ward.examine(End.SINK).unreachable


def test_a_proxy_that_is_not_ready_is_not_told_to_have_another_key(ward: Ward, servers: Servers) -> None:
    with front(servers.sink, {"/*": says(503, "no server is available")}) as url:
        assert _sees(ward, url) == ["sink-not-ready"]
        found = ward.one("sink-not-ready", End.SINK)
        assert found.what.startswith("unavailable: 503")
        assert found.mend.startswith(f"curl -X GET {url}/_cluster/health ")
        assert "API_KEY" not in found.mend


@pytest.mark.parametrize(
    ("lacking", "id_", "severity"),
    [
        (("delete",), "sink-rights-worker", FindingSeverity.ERROR),
        (("read", "maintenance"), "sink-rights-read", FindingSeverity.WARNING),
        (("manage",), "sink-rights-manage", FindingSeverity.INFO),
    ],
)
def test_missing_privileges_are_named(
    ward: Ward, servers: Servers, index: str, lacking: tuple[str, ...], id_: str, severity: FindingSeverity
) -> None:
    held = {privilege: privilege not in lacking for privilege in PRIVILEGES}
    answer = says(200, {"has_all_requested": False, "index": {index: held, f"{index}-*": held}})
    with front(servers.sink, {"/_security/user/_has_privileges": answer}) as url:
        assert _sees(ward, url) == [id_]
        found = ward.one(id_, End.SINK)
        assert found.severity is severity
        assert f"lacks {', '.join(lacking)} on {index}" in found.what


def test_what_a_key_may_not_ask_is_said_and_the_rest_examined(ward: Ward, servers: Servers) -> None:
    denied = says(
        403, {"error": {"type": "security_exception", "reason": "action [cluster:monitor] is unauthorized"}}
    )
    with front(servers.sink, {"/_cluster/*": denied, "/_nodes/*": denied}) as url:
        assert _sees(ward, url) == ["not-examined"]
        assert "sink: product and versions" in ward.examine(End.SINK).examined


def test_a_certificate_that_nobody_vouches_for_needs_its_ca(
    ward: Ward, servers: Servers, tmp_path: Path
) -> None:
    certificate = Path(Papers(tmp_path).self_signed()[0])
    with front(servers.sink, {}, certificate=certificate) as url:
        ward.monkeypatch.setenv("ELASTIC_URL", url)
        assert ward.ids(End.SINK) == ["sink-tls"]
        assert ward.examine(End.SINK).unreachable
        ward.monkeypatch.setenv("ELASTIC_CA_CERTS", str(certificate))
        assert ward.ids(End.SINK) == []
        ward.monkeypatch.setenv("ELASTIC_CA_CERTS", str(tmp_path / "nowhere.pem"))
        assert ward.ids(End.SINK) == ["client-unusable"]


@pytest.mark.parametrize("body", [["odd"], {"odd": {"odd": 1}}, "odd", None, {"status": ["\x1b[31m"]}])
def test_answers_of_another_shape_are_no_crash(ward: Ward, servers: Servers, index: str, body: Any) -> None:
    for path in ("/_cluster/*", "/_nodes/*", "/_security/*", f"/{index}"):
        with front(servers.sink, {path: says(200, body)}) as url:
            assert "\x1b" not in str(_sees(ward, url))
            assert not ward.examine(End.SINK).unreachable


@pytest.mark.parametrize("way", ["key", "user", "url"])
def test_a_command_for_a_secured_sink_takes_its_secrets_from_the_environment(
    ward: Ward, servers: Servers, engine: Elasticsearch, index: str, way: str
) -> None:
    engine.indices.put_settings(index=f"{index}-000001", settings={"index": {"gc_deletes": "60s"}})
    expected = {"key": "ApiKey czNjcmV0", "user": "Basic dTpzM2NyZXQ=", "url": "Basic dTpzM2NyZXQ="}[way]

    def secured(asked: ProxyRequest, reply: ProxyReply) -> ProxyReply:
        given = asked.headers.get("authorization")
        return (
            reply if given == expected else says(401, {"error": {"type": "security_exception"}})(asked, reply)
        )

    with front(servers.sink, {"/*": secured}) as url:
        ward.monkeypatch.setenv("ELASTIC_URL", url)
        if way == "key":
            ward.monkeypatch.setenv("ELASTIC_API_KEY", "czNjcmV0")
        elif way == "user":
            ward.monkeypatch.setenv("ELASTIC_USERNAME", "u")
            ward.monkeypatch.setenv("ELASTIC_PASSWORD", "s3cret")
        else:
            ward.monkeypatch.setenv("ELASTIC_URL", f"{url.replace('//', '//u:s3cret@')},http://127.0.0.1:9")
        found = ward.cures("gc-deletes", End.SINK)
        assert "s3cret" not in found.mend
        assert "czNjcmV0" not in found.mend


def test_of_several_urls_each_is_tried(ward: Ward, servers: Servers) -> None:
    ward.monkeypatch.setenv("ELASTIC_URL", f"http://127.0.0.1:9,{servers.sink}")
    assert "http://127.0.0.1:9 does not answer: connect" in ward.cures("sink-url-away", End.SINK).what
    assert ward.ids(End.SINK) == []


def test_a_sink_that_is_away_does_not_hide_the_database(ward: Ward, sql: psycopg.Connection) -> None:
    sql.execute("CREATE INDEX odd ON search_outbox_events (status)")
    ward.monkeypatch.setenv("ELASTIC_URL", "http://127.0.0.1:9")
    assert ward.ids() == ["db-index-harmful", "sink-unreachable"]
    assert ward.examine().unreachable


def test_a_database_that_is_away_does_not_hide_the_sink(
    ward: Ward, engine: Elasticsearch, index: str
) -> None:
    engine.indices.put_settings(index=f"{index}-000001", settings={"index": {"gc_deletes": "60s"}})
    ward.monkeypatch.setenv("DATABASE_URL", "postgresql://u:s3cret-s3cret@127.0.0.1:9/app")
    assert ward.ids() == ["database-unreachable", "gc-deletes"]
    assert "s3cret" not in str(ward.examine())

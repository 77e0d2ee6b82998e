"""A change of indexes or aliases that the sink neither confirms nor has made is an error."""

import psycopg
import pytest
from elasticsearch import Elasticsearch

from fakes import ProxyFault, Script, fake_sink
from outboxctl.drills.proxy.wire import ProxyReply
from processes import Cli
from rebuilding import ROWS, behind, documents, indexes, rows
from servers import Servers

pytestmark = pytest.mark.real_engine
NO = b'{"acknowledged":false}'
ANSWERS = {"false": NO, "a list": b"[]", "errors": b'{"acknowledged":true,"errors":true}'}
SWAP = "POST /_aliases"


class Unconfirmed(Script):
    """Answers one kind of request so, whether or not it is applied."""

    def __init__(self, request: str, body: bytes, *, apply: bool) -> None:
        super().__init__()
        self._request, self._fault = request, ProxyFault(apply=apply, reply=ProxyReply(200, body))

    def other(self, request: str) -> ProxyFault:
        """That kind alone."""
        return self._fault if request.partition("?")[0] == self._request else super().other(request)


def _fails(cli: Cli, servers: Servers, script: Script) -> str:
    with fake_sink(script, upstream=servers.sink) as sink:
        done = cli("rebuild", "--yes", env={"ELASTIC_URL": sink.url})
    assert done.returncode == 3, done.stdout + done.stderr
    return done.stderr


@pytest.mark.parametrize(
    ("body", "apply"),
    [
        pytest.param(body, apply, id=f"{name}-{'made' if apply else 'not made'}")
        for name, body in ANSWERS.items()
        for apply in (True, False)
        if not (apply and name == "false")
    ],
)
def test_a_swap_that_is_not_confirmed_deletes_nothing_and_the_rebuild_goes_on(
    cli: Cli,
    sql: psycopg.Connection,
    engine: Elasticsearch,
    index: str,
    servers: Servers,
    body: bytes,
    apply: bool,
) -> None:
    sql.execute(ROWS, [20])
    said = _fails(cli, servers, Unconfirmed(SWAP, body, apply=apply))
    assert "did not confirm POST /_aliases" in said
    assert "GET /_alias" in said, "what to look at"
    assert indexes(engine, index) == [f"{index}-000001", f"{index}-000002"]
    assert behind(engine, index) == [f"{index}-00000{2 if apply else 1}"]
    assert cli.json("rebuild", "--yes")["phase"] == "done"
    assert behind(engine, index) == [f"{index}-000002"]
    assert documents(engine, index) == rows(sql)


@pytest.mark.parametrize("request_", [SWAP, "PUT /{}-000002", "PUT /{}-000002/_settings"])
def test_a_change_that_a_frozen_node_keeps_from_being_confirmed_is_enough_once_it_is_made(
    cli: Cli,
    sql: psycopg.Connection,
    engine: Elasticsearch,
    index: str,
    servers: Servers,
    request_: str,
) -> None:
    sql.execute(ROWS, [20])
    script = Unconfirmed(request_.format(index), NO, apply=True)
    with fake_sink(script, upstream=servers.sink) as sink:
        assert cli.json("rebuild", "--yes", env={"ELASTIC_URL": sink.url})["phase"] == "done"
    assert behind(engine, index) == [f"{index}-000002"]
    assert documents(engine, index) == rows(sql)

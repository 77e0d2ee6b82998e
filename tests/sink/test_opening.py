"""A sink that is opened late refuses early: what no client can be made of must not cost events attempts."""

import base64
import ssl
from contextlib import closing
from typing import Any

import pytest

from outboxctl.domain.errors import UsageError
from outboxctl.settings import load
from outboxctl.sink.opening import OpeningSink
from outboxctl.sink.transport.open import connect, nodes_of

AUTHORITIES = ssl.get_default_verify_paths().cafile or ""


@pytest.mark.parametrize(
    "given",
    [
        {"elastic_url": "https://one:9200,http://two:9200", "elastic_ca_certs": AUTHORITIES},
        {"elastic_url": "http://one:9200", "elastic_username": "\udcff"},
        {"elastic_url": "https://one:9200", "elastic_ca_certs": "no/such.pem"},
    ],
    ids=["http beside https", "no text", "no certificates"],
)
def test_what_no_client_can_be_made_of_is_refused_before_an_event_is_claimed(given: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match=r"no client of the search engine|ELASTIC_CA_CERTS"):
        OpeningSink(load(**given), connections=1)


def test_a_server_that_is_named_twice_is_one_node() -> None:
    settings = load(elastic_url="http://u:p@one:80,http://v:q@one,http://ONE:80/,http://two:80")
    with closing(connect(settings)) as opened:
        assert opened.where == "http://one:80, http://two:80"


def test_a_password_of_any_language_is_sent_as_utf_8() -> None:
    (node,) = nodes_of(load(elastic_url="http://one:9200", elastic_username="u", elastic_password="pä"))
    scheme, _, login = node.headers["authorization"].partition(" ")
    assert (scheme, base64.b64decode(login).decode()) == ("Basic", "u:pä")

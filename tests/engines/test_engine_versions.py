"""Versions, tombstones, and documents that an engine refuses."""

import pytest

from engines.conftest import Send
from engines.node import Node
from outboxctl.domain.failures import Noop, Reason, Verdict
from outboxctl.sink.delivery.bulk import BulkAction
from outboxctl.sink.index.repair import Mender
from outboxctl.sink.transport.client import Client
from processes import eventually

pytestmark = pytest.mark.real_engine
DONE = (Verdict.DONE, None)
SUPERSEDED = (Verdict.DONE, Noop.SUPERSEDED)
MAPPING = (Verdict.FAIL, Reason.MAPPING)
NEWER, OLDER = '{"text": "newer"}', '{"text": "older"}'
LONGEST = 2**63 - 1


def test_the_newest_version_wins_and_the_same_one_may_come_again(send: Send, node: Node, index: str) -> None:
    for version, document, end in ((5, OLDER, DONE), (5, NEWER, DONE), (4, OLDER, SUPERSEDED)):
        assert send(BulkAction("block:1", version, document)) == [end]
    assert send(BulkAction("block:1", 4, None)) == [SUPERSEDED]
    assert node.document(index, "block:1") == {"text": "newer"}
    assert send(BulkAction("block:2", LONGEST, NEWER), BulkAction("block:3", 0, NEWER)) == [DONE, DONE]


def test_a_deleted_document_does_not_come_back(send: Send, node: Node, index: str) -> None:
    assert send(BulkAction("block:1", 5, NEWER)) == [DONE]
    assert send(BulkAction("block:1", 6, None)) == [DONE]
    node.ok("POST", f"/{index}/_refresh")
    assert send(BulkAction("block:1", 5, OLDER)) == [SUPERSEDED]
    assert send(BulkAction("block:9", 6, None)) == [(Verdict.DONE, Noop.DELETE_MISSING)]
    assert node.document(index, "block:1") is None


def test_it_comes_back_once_the_tombstone_is_gone(send: Send, node: Node, index: str) -> None:
    """Why an index of ours keeps tombstones for an hour."""
    (settings,) = node.ok("GET", f"/{index}/_settings?flat_settings=true").values()
    assert settings["settings"]["index.gc_deletes"] == "1h"
    node.ok("PUT", f"/{index}/_settings", {"index.gc_deletes": "0ms"})
    assert send(BulkAction("block:1", 6, None)) == [(Verdict.DONE, Noop.DELETE_MISSING)]

    def returned() -> bool:
        node.ok("POST", f"/{index}/_refresh")  # which is when old tombstones go
        return send(BulkAction("block:1", 5, OLDER)) == [DONE]

    eventually(returned, what="the tombstone is gone")


def test_the_version_of_a_tombstone_can_be_asked_for(
    send: Send, client: Client, node: Node, index: str
) -> None:
    send(BulkAction("block:1", 7, NEWER), BulkAction("block:2", 8, None))
    (concrete,) = node.ok("GET", f"/{index}")
    assert Mender(client, concrete).versions_left(["block:1", "block:2", "block:3"]) == {
        "block:1": 7,
        "block:2": 8,
    }


@pytest.mark.parametrize(
    "document",
    [
        pytest.param('{"rank_score": "high"}', id="a number that is none"),
        pytest.param('{"rank_score": NaN}', id="no strict JSON"),
        pytest.param('{"text": "cut', id="cut off"),
        pytest.param(f'{{"entity_id": "{"x" * 40_000}"}}', id="a term too long"),
    ],
)
def test_a_document_that_is_refused_fails_alone(send: Send, document: str) -> None:
    whole = [
        BulkAction("block:1", 1, NEWER),
        BulkAction("block:2", 1, document),
        BulkAction("block:3", 1, NEWER),
    ]
    assert send(*whole) == [DONE, MAPPING, DONE]


def test_unknown_fields_are_kept_and_odd_characters_too(send: Send, node: Node, index: str) -> None:
    document = {"text": "a\u0000b \ud800 \U0001f600", "added later": {"deep": [1, {"er": None}]}}
    escaped = '{"text": "a\\u0000b \\ud800 \U0001f600", "added later": {"deep": [1, {"er": null}]}}'
    assert send(BulkAction("block:ü,*/1", 1, escaped)) == [DONE]
    assert node.document(index, "block:%C3%BC,*%2F1") == document
    (mapping,) = node.ok("GET", f"/{index}/_mapping").values()
    assert "added later" not in mapping["mappings"]["properties"]


def test_a_strict_mapping_refuses_unknown_fields(send: Send, node: Node, index: str) -> None:
    node.ok("PUT", f"/{index}/_mapping", {"dynamic": "strict"})
    assert send(BulkAction("block:1", 1, '{"unknown": 1}'), BulkAction("block:2", 1, NEWER)) == [
        MAPPING,
        DONE,
    ]

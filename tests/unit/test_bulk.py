"""An event must never be done because somebody else's item was, or for the answer of another shard."""

from typing import Any

import pytest

from outboxctl.domain.failures import DONE, Answer, Classification, Noop, Reason, Verdict, classify
from outboxctl.sink.delivery.bulk import BulkAction, body, pair
from outboxctl.sink.delivery.routed import _joined, _spread
from outboxctl.sink.delivery.shards import Shards

pytestmark = pytest.mark.no_servers
SENT = [BulkAction("a:1", 1, "{}"), BulkAction("a:2", 5, None)]


def item(verb: str, id_: str, status: Any = 200, **more: Any) -> dict[str, Any]:
    return {verb: {"_id": id_, "status": status, **more}}


GOOD = [item("index", "a:1", 201, result="created"), item("delete", "a:2", result="deleted")]


def test_body_is_ndjson_with_external_versions() -> None:
    assert body(SENT) == (
        b'{"index":{"_id":"a:1","version":1,"version_type":"external_gte"}}\n{}\n'
        b'{"delete":{"_id":"a:2","version":5,"version_type":"external_gte"}}\n'
    )


def test_hostile_ids_stay_one_json_string() -> None:
    assert body([BulkAction('x"\n:1', 1, None)]).count(b"\n") == 1


DEEP: list[object] = []
for _ in range(200_000):
    DEEP = [DEEP]


@pytest.mark.parametrize("error", ["boom", {}, [], 0, False, {"type": None}, DEEP])
def test_an_item_that_says_success_and_error_at_once_makes_the_answer_a_bad_one(error: object) -> None:
    """None of it can be believed, of no item."""
    found = pair(SENT, {"items": [item("index", "a:1", 200, error=error), GOOD[1]]})
    assert isinstance(found, Answer)
    assert (classify(found).verdict, classify(found).reason) == (Verdict.RETRY, Reason.BAD_RESPONSE)


@pytest.mark.parametrize(
    "error", ["boom", {}, [], 0, False, {"type": None}, DEEP, {"caused_by": {"type": DEEP}}]
)
@pytest.mark.parametrize(("action", "status"), [(SENT[0], 404), (SENT[1], 404), (SENT[1], 500)])
def test_an_item_that_carries_any_error_is_not_done(action: BulkAction, status: int, error: object) -> None:
    verb = "delete" if action.document is None else "index"
    answers = pair([action], {"items": [item(verb, action.id, status, error=error)]})
    assert isinstance(answers, list)
    assert classify(answers[0]).verdict is not Verdict.DONE


@pytest.mark.parametrize("verb", ["index", "delete"])
def test_an_item_that_did_nothing_is_done_as_dropped(verb: str) -> None:
    """An ingest pipeline drops a document so."""
    action = BulkAction("a:1", 1, "{}" if verb == "index" else None)
    answers = pair([action], {"items": [item(verb, "a:1", result="noop")]})
    assert isinstance(answers, list)
    assert classify(answers[0]) == Classification(Verdict.DONE, noop=Noop.DROPPED)


@pytest.mark.parametrize(
    "answer",
    [
        None,
        "",
        "<html>ok</html>",
        [],
        {},
        {"errors": False},
        {"items": None},
        {"items": {}},
        {"items": []},
        {"items": GOOD[:1]},
        {"items": [*GOOD, GOOD[0]]},
        {"items": GOOD[::-1]},
        {"items": [item("index", "a:9"), GOOD[1]]},
        {"items": [item("delete", "a:1"), GOOD[1]]},
        {"items": [item("index", "a:1", "200"), GOOD[1]]},
        {"items": [item("index", "a:1", True), GOOD[1]]},
        {"items": [item("index", "a:1", None), GOOD[1]]},
        {"items": [{"index": {"status": 200}}, GOOD[1]]},
        {"items": [{"index": None}, GOOD[1]]},
        {"items": ["index", GOOD[1]]},
        {"items": [item("index", "a:1", result="not_found"), GOOD[1]]},
        {"items": [item("index", "a:1", result=["created"]), GOOD[1]]},
        {"items": [{"index": {"_id": DEEP, "status": 200}}, GOOD[1]]},
        {"items": [item("index", "a:1", DEEP), GOOD[1]]},
        {"items": [None, GOOD[1]]},
    ],
)
def test_anything_else_is_one_bad_response_for_the_whole_batch(answer: Any) -> None:
    found = pair(SENT, answer)
    assert isinstance(found, Answer)
    assert classify(found).verdict is Verdict.RETRY


MISSING = Classification(Verdict.DONE, noop=Noop.DELETE_MISSING)
NEWER = Classification(Verdict.DONE, noop=Noop.SUPERSEDED, error="current version [7]")
OUTAGE = Classification(Verdict.OUTAGE, Reason.UNAVAILABLE)
Finding = Classification | None
CASES: dict[str, tuple[list[Finding], Finding]] = {
    "written": ([MISSING, MISSING, DONE], DONE),
    "moved": ([DONE, MISSING, DONE], DONE),
    "deleted in one shard": ([MISSING, DONE, MISSING], DONE),
    "nothing to delete": ([MISSING, MISSING], MISSING),
    "newer elsewhere": ([MISSING, NEWER, DONE], NEWER),
    "not in all shards": ([None, MISSING, DONE], None),
    "one shard away": ([None, NEWER, OUTAGE, DONE], OUTAGE),
}


@pytest.mark.parametrize("case", CASES)
def test_a_document_is_done_only_where_all_shards_are(case: str) -> None:
    findings, wanted = CASES[case]
    assert _joined(findings) == wanted


def test_a_document_is_written_once_and_deleted_everywhere_else() -> None:
    shards = Shards(3, 768)
    written = [*_spread(BulkAction("a", 7, "{}", "tenant"), shards)]
    assert [action.document for action in written] == [None, None, "{}"]
    assert {shards.of(action.routing) for action in written} == {0, 1, 2}
    deleted = [*_spread(BulkAction("a", 8, None, ""), shards)]
    assert {(action.version, shards.of(action.routing)) for action in deleted} == {(8, n) for n in range(3)}
    by_id = [*_spread(BulkAction("a", 9, "{}"), shards)]
    assert shards.of("a") not in {shards.of(action.routing) for action in by_id[:-1]}


def test_a_routing_is_sent_as_it_is_and_only_where_it_is_asked_for() -> None:
    actions = [
        BulkAction("a", 1, '{"x":1}', 'b"{,\u00e9'),
        BulkAction("c", 2, None, "d"),
        BulkAction("e", 3, None),
    ]
    lines = body(actions, routed=True).decode().splitlines()
    assert lines[0].startswith('{"index":{"routing":"b\\"{,\\u00e9","_id":"a"')
    assert lines[2].startswith('{"delete":{"routing":"d","_id":"c"')
    assert lines[3].startswith('{"delete":{"_id":"e"')
    assert b"routing" not in body(actions)

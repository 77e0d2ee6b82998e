"""An event must never be done because somebody else's item was."""

from typing import Any

import pytest

from outboxctl.domain.failures import Answer, Classification, Noop, Reason, Verdict, classify
from outboxctl.sink.delivery.bulk import BulkAction, body, pair

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

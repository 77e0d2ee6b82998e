"""Each recorded answer of a real server has exactly one right verdict."""

import json
from pathlib import Path
from typing import Any

import pytest

from outboxctl.domain.failures import RULES, Answer, Classification, Noop, Reason, Verdict, classify
from outboxctl.sink.delivery.bulk import BulkAction, pair
from outboxctl.sink.transport.reply import error_of

pytestmark = pytest.mark.no_servers

DONE, SUPERSEDED = ("done", None, None), ("done", None, "superseded")
SICK = ("outage", "unavailable", None)
MISSING = ("done", None, "delete_missing")
MAPPING, MAPPING_REQUEST = ("fail", "mapping", None), ("split", "bad_request", None)
NO_INDEX, BLOCKED = ("outage", "index_unavailable", None), ("outage", "write_blocked", None)
# case: the verdict of each item, or of the whole request.
EXPECTED: dict[str, list[tuple[str, str | None, str | None]]] = {
    "created_and_updated": [DONE, DONE],
    "equal_version": [DONE],
    "superseded": [SUPERSEDED],
    "superseded_delete": [SUPERSEDED],
    "delete_found": [DONE],
    "delete_missing": [MISSING],
    "stale_after_delete": [SUPERSEDED],
    "unversioned_delete_missing": [MISSING],
    "document_parsing": [MAPPING, DONE],
    "strict_mapping": [MAPPING],
    "immense_term": [MAPPING],
    "malformed_document": [MAPPING, DONE],
    "nan_document": [MAPPING],
    "lone_surrogate": [DONE],
    "escaped_lone_surrogate": [DONE],
    "nul_character": [DONE],
    "empty_document": [MAPPING],
    "malformed_action": [MAPPING_REQUEST],
    "unknown_action": [MAPPING_REQUEST],
    "id_too_long": [MAPPING_REQUEST],
    "version_negative": [MAPPING_REQUEST],
    "version_overflow": [MAPPING_REQUEST],
    "version_max": [DONE],
    "no_trailing_newline": [MAPPING_REQUEST],
    "empty_body": [MAPPING_REQUEST],
    "bad_media_type": [("outage", "config", None)],
    "unknown_parameter": [("outage", "config", None)],
    "bad_gzip": [DONE],
    "index_missing_require_alias": [NO_INDEX],
    "index_missing": [NO_INDEX],
    "index_missing_delete": [NO_INDEX],
    "index_missing_delete_unversioned": [NO_INDEX],
    "index_missing_delete_autocreate": [MISSING],
    "index_closed": [NO_INDEX],
    "write_block": [BLOCKED, BLOCKED],
    "read_only_block": [BLOCKED, BLOCKED],
    "flood_stage_block": [("outage", "disk_full", None)] * 2,
    "primary_unassigned": [("outage", "unavailable", None)],
    "one_shard_red": [DONE, DONE, SICK, DONE],
    "too_few_copies": [DONE, SICK, SICK, DONE],
    "no_leader": [("outage", "unavailable", None)],
    "shard_limit": [NO_INDEX],
    "resurrected_after_gc_deletes": [DONE],
    "alias_two_writes": [NO_INDEX],
    "not_found_path": [NO_INDEX],
    "request_too_large": [("split", "payload_too_large", None)],
    "indexing_pressure": [("retry", "rate_limited", None)],
    "write_queue_full": [("retry", "rate_limited", None)],
}


def recorded() -> list[Any]:
    folder = Path(__file__).parents[1] / "sink" / "answers"
    files = sorted(folder.glob("*.json"))
    assert len(files) == 2
    entries = [(file.stem, entry) for file in files for entry in json.loads(file.read_text())]
    return [pytest.param(entry, id=f"{stem}-{entry['case']}") for stem, entry in entries]


def verdicts(entry: dict[str, Any]) -> list[Classification]:
    body = entry["body"]
    if isinstance(body, dict) and "items" in body:
        sent = [_sent(item) for item in body["items"]]
        answers = pair(sent, body)
        assert isinstance(answers, list), "a real answer must pair with what was sent"
        return [classify(answer) for answer in answers]
    kind, text = error_of(body.get("error")) if isinstance(body, dict) else ("", "")
    return [classify(Answer(entry["status"], kind, text, request=True))]


def _sent(item: dict[str, Any]) -> BulkAction:
    ((verb, outcome),) = item.items()
    return BulkAction(outcome["_id"], 1, None if verb == "delete" else "{}")


@pytest.mark.parametrize("entry", recorded())
def test_recorded_answer(entry: dict[str, Any]) -> None:
    found = [(f.verdict.value, f.reason, f.noop) for f in verdicts(entry)]
    assert found == EXPECTED[entry["case"]]


@pytest.mark.parametrize(
    ("answer", "verdict", "reason"),
    [
        # Both engines, of an item with a new field, when the frozen node of the leader had just been removed.
        (
            Answer(500, "mapper_exception", "timed out while waiting for a dynamic mapping update"),
            Verdict.OUTAGE,
            Reason.UNAVAILABLE,
        ),
        # Elasticsearch 9, of an item whose primary was on a frozen node.
        (
            Answer(502, "node_not_connected_exception", "[n3][127.0.0.1:20713] gone"),
            Verdict.OUTAGE,
            Reason.UNAVAILABLE,
        ),
        # An item of a Serverless collection that is not of type SEARCH (docs/deploy/aws.md).
        (
            Answer(
                400,
                "illegal_argument_exception",
                "Document ID is not supported in create/index operation request",
            ),
            Verdict.OUTAGE,
            Reason.CONFIG,
        ),
        (Answer(404, "document_missing_exception", "x"), Verdict.RETRY, Reason.UNKNOWN_EXCEPTION),
    ],
)
def test_what_is_neither_recorded_nor_a_row_of_the_table(
    answer: Answer, verdict: Verdict, reason: Reason
) -> None:
    """The others are in `sink/rows`."""
    found = classify(answer)
    assert (found.verdict, found.reason) == (verdict, reason)


def test_an_index_with_404_is_never_done() -> None:
    assert classify(Answer(404)).verdict is not Verdict.DONE
    assert classify(Answer(404, delete=True)).noop is Noop.DELETE_MISSING


def test_a_2xx_item_that_carries_an_error_is_never_done() -> None:
    assert classify(Answer(200, "some_exception", "x")).verdict is not Verdict.DONE


def test_the_last_rule_catches_everything() -> None:
    assert RULES[-1].fits(Answer(999, "?", "?", request=True))
    assert [r for r in RULES if r.verdict is not Verdict.DONE and r.reason is None] == []


def test_an_error_text_is_cut_and_cleaned() -> None:
    found = classify(Answer(500, "x", "\x00\x1b[31m\ud800" + "z" * 100_000))
    assert len(found.error) <= 1_000
    assert "\x00" not in found.error
    assert "\x1b" not in found.error
    found.error.encode()


@pytest.mark.parametrize("error", ["timeout: no answer", "no answer"])
def test_a_failure_says_its_reason_once(error: str) -> None:
    assert Classification(Verdict.RETRY, Reason.TIMEOUT, error=error).words == "timeout: no answer"

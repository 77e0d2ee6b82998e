"""What becomes of a routed document by the answers of all shards; no shard is believed for another."""

import pytest

from outboxctl.domain.failures import DONE, Classification, Noop, Reason, Verdict
from outboxctl.sink.delivery.bulk import BulkAction, body, routed_body
from outboxctl.sink.delivery.routed import _joined, _spread
from outboxctl.sink.delivery.shards import Shards

pytestmark = pytest.mark.no_servers
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
    lines = routed_body(actions).decode().splitlines()
    assert lines[0].startswith('{"index":{"routing":"b\\"{,\\u00e9","_id":"a"')
    assert lines[2].startswith('{"delete":{"routing":"d","_id":"c"')
    assert lines[3].startswith('{"delete":{"_id":"e"')
    assert b"routing" not in body(actions)

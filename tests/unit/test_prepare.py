"""What is sent follows the source row; what cannot be sent fails alone."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outboxctl.core.delivery.claim import Claimed
from outboxctl.domain.failures import DONE, Classification, Noop, Reason, Verdict
from outboxctl.sink.delivery.bulk import BulkAction
from outboxctl.worker.lane.prepare import UNSENT, judge, prepare

pytestmark = pytest.mark.no_servers
ENTITY = "0b1c2d3e-0000-4000-8000-000000000001"


def event(
    n: int = 1, *, op: str = "upsert", version: int | None = 1, source: int | None = 1, **more: str
) -> Claimed:
    document = None if source is None else f'{{"v":{source}}}'
    id_ = f"{more.get('entity_type', 'block')}:{more.get('entity_id', ENTITY)}"
    return Claimed(f"event-{n}", id_, op, version, 1, source, document)


def test_an_upsert_is_sent_with_the_source_rows_version_not_the_events() -> None:
    (action,) = prepare([event(version=3, source=7)]).actions
    assert action == BulkAction(f"block:{ENTITY}", 7, '{"v":7}')


def test_an_upsert_whose_source_row_is_gone_is_a_versioned_delete() -> None:
    prepared = prepare([event(version=3, source=None)])
    assert prepared.actions == [BulkAction(f"block:{ENTITY}", 3, None)]
    ((_, finding),) = judge(prepared, [DONE])
    assert finding == Classification(Verdict.DONE, noop=Noop.SOURCE_MISSING)


def test_a_late_delete_does_not_remove_an_entity_that_was_created_again() -> None:
    (action,) = prepare([event(op="delete", version=3, source=4)]).actions
    assert action.document is not None


def test_an_event_newer_than_its_source_row_waits() -> None:
    prepared = prepare([event(version=5, source=4)])
    assert not prepared.actions
    assert [f.reason for _, f in prepared.decided] == [Reason.SOURCE_NOT_VISIBLE]


def test_several_events_of_one_entity_are_sent_once_and_all_get_its_end() -> None:
    batch = [event(1, version=1, source=3), event(2, version=3, source=3), event(3, version=2, source=3)]
    prepared = prepare(batch)
    assert len(prepared.actions) == 1
    done = {e.id: f.noop for e, f in judge(prepared, [DONE])}
    assert done == {"event-1": Noop.COALESCED, "event-2": None, "event-3": Noop.COALESCED}
    failed = judge(prepared, [Classification(Verdict.FAIL, Reason.MAPPING)])
    assert {f.reason for _, f in failed} == {Reason.MAPPING}


@pytest.mark.parametrize(
    "bad",
    [
        event(op="not-a-real-op"),
        event(op="UPSERT"),
        event(op=""),
        event(version=None),
        event(version=-1),
        event(version=2**63),
        event(source=-1, version=0),
        event(entity_type="é" * 300),
    ],
)
def test_what_can_never_be_sent_fails_alone(bad: Claimed) -> None:
    good = event(2, entity_id="0b1c2d3e-0000-4000-8000-000000000002")
    prepared = prepare([bad, good])
    assert [f.verdict for _, f in prepared.decided] == [Verdict.FAIL]
    assert prepared.decided[0][1].reason is Reason.DETERMINISTIC_EXCEPTION
    assert prepared.newest == [good]


def test_the_lab_documents_words() -> None:
    ((_, finding),) = prepare([event(op="not-a-real-op")]).decided
    assert "Unknown outbox op: 'not-a-real-op'" in finding.error


VERSIONS = st.sampled_from([None, -1, 0, 1, 2, 2**63 - 1, 2**63])
IDS = st.sampled_from(["block:a", "block:b", "", "é" * 256, "é" * 257, "x" * 512, "x" * 513, "\ud800"])
EVENTS = st.builds(
    Claimed,
    st.uuids().map(str),
    IDS,
    st.sampled_from(["upsert", "delete", "UPSERT", ""]),
    VERSIONS,
    st.just(1),
    VERSIONS,
    st.sampled_from([None, "{}"]),
)


@given(
    st.lists(EVENTS, max_size=8), st.sampled_from([DONE, None, Classification(Verdict.RETRY, Reason.TIMEOUT)])
)
def test_every_event_gets_one_finding_and_every_entity_one_action(
    batch: list[Claimed], said: Classification | None
) -> None:
    prepared = prepare(batch)
    judged = judge(prepared, [said] * len(prepared.actions))
    assert sorted(event.id for event, _ in judged) == sorted(event.id for event in batch)
    assert len({action.id for action in prepared.actions}) == len(prepared.actions)
    refused = {event.id for event, _ in prepared.decided}
    for event, finding in judged:
        assert event.id in refused or finding.verdict is (said or UNSENT).verdict

"""What is sent follows the source row; what cannot be sent fails alone."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outboxctl.core.delivery.claim import Claimed
from outboxctl.core.delivery.deletes import DeliveredDelete
from outboxctl.domain.failures import DONE, Classification, Reason, Verdict
from outboxctl.domain.projection import BUILT_IN
from outboxctl.sink.delivery.bulk import BulkAction
from outboxctl.worker.lane.prepare import UNSENT, deleted, judge, prepare

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


def test_a_delete_is_repeated_by_its_whole_key_of_which_the_document_id_has_a_hash() -> None:
    projection = replace(BUILT_IN, name="p", id_prefix="t-")
    key = "k" * 600
    claimed = [Claimed("event-1", key, "upsert", None, 1)]
    read = [Claimed("event-1", projection.id_of(key), "upsert", 9, 1, 9)]
    found = deleted(prepare(read), [DONE], claimed, projection)
    assert found == {"event-1": DeliveredDelete("p", f"t-{key}", 9)}


VERSIONS = st.sampled_from([None, -1, 0, 1, 2, 2**63 - 1, 2**63])
IDS = st.sampled_from(["block:a", "block:b", "", "é" * 256, "é" * 257, "x" * 512, "x" * 513])
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
    assert refused >= {event.id for event in batch if event.op not in {"upsert", "delete"}}
    for action in prepared.actions:
        assert 0 <= action.version < 2**63
        assert len(action.id.encode()) <= 512
    for event, finding in judged:
        assert event.id in refused or finding.verdict is (said or UNSENT).verdict

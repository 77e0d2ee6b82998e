"""A load never writes a deleted entity again: its versions would start below the index's."""

from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outboxctl.drills.load import Load, Scenario, batches, shares

pytestmark = pytest.mark.no_servers
LOADS = st.builds(
    Load,
    scenario=st.sampled_from(Scenario),
    total=st.integers(1, 300),
    content_bytes=st.just(10),
    rate=st.just(0.0),
    concurrency=st.integers(1, 8),
    per_transaction=st.integers(1, 20),
    seed=st.integers(0, 5),
)


@given(LOADS)
def test_every_operation_once_and_no_entity_after_its_end(load: Load) -> None:
    operations, written, deleted = 0, set[UUID](), set[UUID]()
    for share in shares(load):
        for batch in batches(share):
            operations += len(batch.ids)
            assert len(set(batch.ids)) == len(batch.ids)
            assert not deleted & set(batch.ids)
            if batch.delete:
                assert set(batch.ids) <= written
                deleted |= set(batch.ids)
            else:
                written |= set(batch.ids)
    assert operations == load.total


@pytest.mark.parametrize("scenario", Scenario)
def test_the_scenarios_do_what_they_say(scenario: Scenario) -> None:
    (share,) = shares(Load(scenario, 200, 10, 0, 1, 1, seed=1))
    made = list(batches(share))
    distinct = {id_ for batch in made for id_ in batch.ids}
    deletes = sum(batch.delete for batch in made)
    assert len(distinct) == (200 if scenario is Scenario.CREATE else 100)
    assert {"create": deletes == 0, "update": deletes == 0, "delete": deletes == 100}.get(
        scenario, 0 < deletes < 60
    )

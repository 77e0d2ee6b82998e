"""The fake answers a bulk request as the real Elasticsearch does; this is what makes it worth anything."""

import json
from itertools import count
from typing import Any

import pytest
from elasticsearch import Elasticsearch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fakes import fake_sink
from fakes.store import Kind, Store
from outboxctl.sink.delivery.bulk import FILTER, BulkAction, body

VERSIONS = st.sampled_from([0, 1, 2, 3, 5, 2**63 - 1])
ACTIONS = st.builds(
    BulkAction, st.sampled_from("abc"), VERSIONS, st.sampled_from([None, "{}", '{"text":"é"}'])
)
BULKS = st.lists(st.lists(ACTIONS, min_size=1, max_size=6), min_size=1, max_size=4)
EXAMPLES = count()  # each example gets ids of its own in the one index


def said(client: Elasticsearch, index: str, actions: list[BulkAction], **options: Any) -> list[Any]:
    """What a sink says of each action: verb, id, status, version, result, and the error's type and text."""
    answer = client.bulk(index=index, operations=body(actions), **options)  # type: ignore[arg-type]
    assert answer["errors"] == any("error" in o for item in answer["items"] for o in item.values())
    return [
        (verb, *(outcome.get(name) for name in ("_id", "status", "_version", "result")), _error(outcome))
        for item in answer["items"]
        for verb, outcome in item.items()
    ]


def _error(outcome: dict[str, Any]) -> Any:
    error = outcome.get("error")
    return error and (error["type"], error["reason"])


def documents(client: Elasticsearch, index: str, ids: list[str]) -> list[Any]:
    """What a sink holds: id, version and document of each, or that it is not there."""
    found = client.mget(index=index, ids=ids)["docs"]
    return [[doc.get(name) for name in ("_id", "found", "_version", "_source")] for doc in found]


@pytest.mark.real_engine
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(bulks=BULKS)
def test_any_sequence_of_writes_gets_the_same_answers_and_leaves_the_same_documents(
    engine: Elasticsearch, index: str, bulks: list[list[BulkAction]]
) -> None:
    example = next(EXAMPLES)
    named = [[action._replace(id=f"{action.id}{example}") for action in bulk] for bulk in bulks]
    ids = sorted({action.id for bulk in named for action in bulk})
    with fake_sink() as sink, Elasticsearch(sink.url) as fake:
        for bulk in named:
            assert said(fake, index, bulk) == said(engine, index, bulk)
        assert documents(fake, index, ids) == documents(engine, index, ids)
        assert sink.store.steps_back() == []
        assert sorted(sink.store.versions()) == [doc[0] for doc in documents(engine, index, ids) if doc[1]]


@pytest.mark.real_engine
def test_filters_and_require_alias_answer_alike(engine: Elasticsearch, index: str) -> None:
    options = {"filter_path": FILTER, "require_alias": True}
    actions = [BulkAction("x", 5, "{}"), BulkAction("x", 1, "{}"), BulkAction("y", 1, None)]
    with fake_sink() as sink, Elasticsearch(sink.url) as fake:
        assert said(fake, index, actions, **options) == said(engine, index, actions, **options)
        sink.store.kind = Kind.INDEX
        name = f"{index}-000001"
        assert said(fake, name, actions[:1], **options) == said(engine, name, actions[:1], **options)


def test_once_tombstones_are_forgotten_an_older_write_comes_back_and_is_found() -> None:
    store = Store()
    with fake_sink(store=store) as sink, Elasticsearch(sink.url) as fake:
        said(fake, "any", [BulkAction("x", 1, "{}"), BulkAction("x", 6, None)])
        assert said(fake, "any", [BulkAction("x", 5, "{}")])[0][2] == 409
        store.forget_tombstones()
        assert said(fake, "any", [BulkAction("x", 5, "{}")])[0][2] == 201
    assert store.steps_back() == ["x"]
    assert json.loads(store.documents()["x"].document or b"") == {}

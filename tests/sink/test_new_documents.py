"""The answer that all documents are new is compared as bytes: it says no less than one that is parsed."""

import json
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fakes import Script, fake_sink
from fakes.faults import IDS_SWAPPED, ITEM_MISSING, ITEM_TOO_MANY, STATUS_NOT_INT
from outboxctl.domain.clock import Deadline
from outboxctl.domain.failures import DONE, Verdict
from outboxctl.settings import Settings
from outboxctl.sink.delivery import deliver
from outboxctl.sink.delivery.bulk import CONFIRMED, BulkAction, RawActions, all_created, body, pair
from outboxctl.sink.delivery.deliver import ElasticSink
from outboxctl.sink.transport.open import connect
from servers import Servers

PLAIN = ["block:1", 'q"uo\\te', "ß中", "line\nend\x01", "a,b"]
IDS = [*PLAIN, "\U0001f600", "\x1f"]  # the last two are escaped in another way


def raw(*ids: str, document: bytes = b'{"text":"a"}') -> RawActions:
    """Documents as the database writes them."""
    return RawActions([(json.dumps(id_, ensure_ascii=False).encode(), b"7", b"", document) for id_ in ids])


@pytest.fixture
def sink(settings: Settings) -> Iterator[ElasticSink]:
    with closing(connect(settings)) as client:
        yield ElasticSink(client, settings.elastic_index, new=True)


@pytest.mark.no_servers
@given(st.lists(st.text(st.characters(codec="utf-8"), min_size=1), min_size=1, unique=True))
def test_it_is_the_answer_that_confirms_each_action_in_order(ids: list[str]) -> None:
    for actions in (raw(*ids), [*raw(*ids)]):
        assert pair(actions, json.loads(all_created(actions))) == [CONFIRMED] * len(ids)
        assert [action.id for action in actions] == ids


@pytest.mark.no_servers
def test_bytes_make_the_same_request_as_texts() -> None:
    actions = raw(*IDS)

    def lines(request: bytes | None) -> list[Any]:
        return [json.loads(line) for line in (request or b"").splitlines()]

    assert lines(actions.body()) == lines(body([*actions]))
    assert actions[1:] == [*actions][1:]
    assert actions[0] == BulkAction("block:1", 7, '{"text":"a"}')


@pytest.mark.no_servers
def test_a_line_end_which_would_break_a_request_is_not_sent_as_bytes() -> None:
    assert raw("x", document=b'{"a":\n1}').body() is None


@pytest.mark.real_engine
def test_an_engine_says_it_in_these_bytes(sink: ElasticSink, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else each answer is parsed, which costs more than all else that the process does with a document."""
    monkeypatch.setattr(deliver, "pair", None)
    assert sink.deliver(raw(*PLAIN), deadline=Deadline.within(10.0)).findings == [DONE] * len(PLAIN)


def test_what_is_not_new_is_judged_as_usual(sink: ElasticSink) -> None:
    for _ in range(2):
        found = sink.deliver(raw(*IDS), deadline=Deadline.within(10.0)).findings
        assert [each and each.verdict for each in found] == [Verdict.DONE] * len(IDS)


@pytest.mark.parametrize("fault", [ITEM_MISSING, ITEM_TOO_MANY, IDS_SWAPPED, STATUS_NOT_INT])
def test_an_answer_that_is_none_confirms_nothing(fault: Any, settings: Settings, servers: Servers) -> None:
    with fake_sink(Script.always(fault), upstream=servers.sink) as fake:
        there = settings.model_copy(update={"elastic_url": type(settings.elastic_url)(fake.url)})
        with closing(connect(there)) as client:
            sink = ElasticSink(client, settings.elastic_index, new=True)
            found = sink.deliver(raw("a", "b"), deadline=Deadline.within(10.0)).findings
    assert {each and each.verdict for each in found} == {Verdict.RETRY}


def test_a_document_with_a_line_end_keeps_none_from_the_index(sink: ElasticSink) -> None:
    broken = raw("b", document=b'{"text":\n"a"}')._documents
    mixed = RawActions([*raw("a")._documents, *broken, *raw("c")._documents])
    found = sink.deliver(mixed, deadline=Deadline.within(10.0)).findings
    assert [each and each.verdict for each in found] == [Verdict.DONE] * 3

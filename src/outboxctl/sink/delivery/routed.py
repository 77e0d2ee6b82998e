"""Delivering documents with a routing: one id must not be in two shards, whatever happens.

An id is unique in its shard only. A document whose routing changes leaves its old copy behind, and a delete
has no routing: the document's row is gone. A search for the copies (an `ids` query after a refresh)
is not enough: a request of a worker that is late may write the old copy after that, where nothing refuses it.
So each write of a document comes with deletes of the same version in all other shards, and a delete goes to
all of them: what they leave behind refuses whatever is older, as in an index without routing. It costs an
index of n shards n operations a document. Nothing of it is needed where the routing is a part of the key: the
key of a row that is gone says where the document was, and another routing is another document.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from outboxctl.domain.clock import Deadline
from outboxctl.domain.failures import (
    DONE,
    Answer,
    Classification,
    Noop,
    OutageScope,
    Reason,
    Verdict,
    classify,
)
from outboxctl.domain.projection import Routing
from outboxctl.sink.delivery.bulk import BulkAction
from outboxctl.sink.delivery.deliver import NO_INDEX, ElasticSink
from outboxctl.sink.delivery.result import BulkRequest, Delivery, Sink
from outboxctl.sink.delivery.shards import NotNamedError, Shards, layout_of
from outboxctl.sink.transport.client import Client
from outboxctl.sink.transport.reply import NOT_FOUND

TRIES = 3  # deliveries, if the alias leads to another index after each


def sink_for(
    client: Client,
    index: str,
    *,
    pipeline: str = "",
    routing: Routing = Routing.NONE,
    new: bool = False,
) -> Sink:
    """The sink of one index or write alias, for documents with such a routing; `new` as of ElasticSink."""
    sink = ElasticSink(client, index, pipeline=pipeline, routed=routing is not Routing.NONE, new=new)
    return RoutedSink(client, index, sink) if routing is Routing.COLUMN else sink


class RoutedSink:
    """Keeps one copy of each document in the index of `sink`. Safe to use from several threads."""

    def __init__(self, client: Client, index: str, sink: Sink) -> None:
        self._client, self._index, self._sink = client, index, sink
        self._layout: Shards | None = None

    def deliver(self, actions: Sequence[BulkAction], *, deadline: Deadline) -> Delivery:
        """As `ElasticSink.deliver`; again where the alias was moved meanwhile: the shards were others'."""
        layout: Shards | Classification | None = self._layout or self._look(deadline)
        requests: list[BulkRequest] = []
        for _ in range(TRIES):
            if layout is None or isinstance(layout, Classification):
                return Delivery([layout] * len(actions), requests)
            spread = [[*_spread(action, layout)] for action in actions]
            delivery = self._sink.deliver([each for some in spread for each in some], deadline=deadline)
            requests += delivery.requests
            before, layout = layout, self._look(deadline, layout)
            if layout is before:
                findings = iter(delivery.findings)
                return Delivery([_joined([next(findings) for _ in some]) for some in spread], requests)
        return Delivery([None] * len(actions), requests)

    def _look(self, deadline: Deadline, known: Shards | None = None) -> Shards | Classification | None:
        """The layout of the index, `known` if it is the same; or what is wrong, None if no time is left."""
        seconds = deadline.seconds_left()
        if seconds <= 0:
            return None
        try:
            self._layout = layout_of(self._client, self._index, seconds, known)
        except NotNamedError as error:
            return _outage(error.why) if isinstance(error.why, str) else self._refused(error.why)
        return self._layout

    def _refused(self, answer: Answer) -> Classification:
        """An answer that is about no document."""
        finding = classify(answer)
        if finding.reason is Reason.INDEX_UNAVAILABLE and answer.status == NOT_FOUND:
            return replace(finding, error=f"{NO_INDEX} {self._index}", own_text=True)
        return finding if finding.verdict in (Verdict.OUTAGE, Verdict.RETRY) else _outage(finding.error)


def _spread(action: BulkAction, cut: Shards) -> Iterator[BulkAction]:
    """Deletes of an action's version in the other shards, and the action; of a delete all are equal.

    In this order the document stays also where an index is cut otherwise, and one of the shards is its own.
    """
    at = cut.of(action.routing or action.id) if action.document is not None else None
    for shard, routing in enumerate(cut.routings):
        if shard != at:
            yield BulkAction(action.id, action.version, None, routing)
    if at is not None:
        yield action


def _joined(findings: Sequence[Classification | None]) -> Classification | None:
    """What becomes of a document by the findings of its shards: the worst, or its own, which is the last."""
    failed = [each for each in findings if each and each.verdict is not Verdict.DONE]
    newer = [each for each in findings if each and each.noop is Noop.SUPERSEDED]
    if failed or None in findings:  # one shard that takes nothing holds up all documents
        worst = failed[0] if failed else None
        return (
            replace(worst, scope=OutageScope.INDEX) if worst and worst.scope is OutageScope.EVENT else worst
        )
    if newer:
        return max(newer, key=lambda each: len(each.error))
    own = findings[-1]
    return own if own is None or own.noop is not Noop.DELETE_MISSING or len(set(findings)) == 1 else DONE


def _outage(text: str) -> Classification:
    return Classification(Verdict.OUTAGE, Reason.CONFIG, error=text, own_text=True)

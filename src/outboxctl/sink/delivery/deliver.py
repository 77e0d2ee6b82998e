"""Delivering a batch by guarded bulk requests that never create an index."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from shlex import quote
from time import monotonic
from typing import Any

from outboxctl.domain.failures import Answer, Classification, Reason, Verdict, classify
from outboxctl.sink.delivery.bisect import Bisection
from outboxctl.sink.delivery.bulk import CONFIRMED, FILTER, BulkAction, body, pair
from outboxctl.sink.delivery.result import Delivery, Request
from outboxctl.sink.transport.client import Client
from outboxctl.sink.transport.request import ask
from outboxctl.sink.transport.wall_clock import within

FORBIDDEN = 403
NO_INDEX = "no such index or alias"


class ElasticSink:
    """Writes batches into one index or write alias; safe to use from several threads."""

    def __init__(self, client: Client, index: str) -> None:
        self._client = client
        self._index = index
        self._alias_only = False  # the name is known to be an alias, and the sink asked to insist
        self._can_insist = True

    def ping(self) -> Classification | None:
        """None if the sink answers and the index is there, else what is wrong."""
        found = ask(self._client, "HEAD", self._index)
        if isinstance(found, Answer):
            return None if found.status == FORBIDDEN else classify(found)  # it may write all the same
        return (
            None
            if found
            else Classification(Verdict.OUTAGE, Reason.INDEX_UNAVAILABLE, error=self._absent(), ours=True)
        )

    def _absent(self) -> str:
        return (
            f"{NO_INDEX} {self._index}: `outboxctl services up --elastic-index {quote(self._index)}` makes it"
            " on local services, `outboxctl rebuild` elsewhere"
        )

    def deliver(self, actions: Sequence[BulkAction], *, left: Callable[[], float]) -> Delivery:
        """Send the actions and say of each what became of it; nothing is raised.

        Only an item that the sink confirmed by id is `done`. `left` says how many seconds a request
        that starts now may take; once there are none, the rest is not sent and its finding is None.
        """
        requests: list[Request] = []
        halving = Bisection(lambda some: self._send(some, left, requests))
        return Delivery(halving.deliver(actions), requests)

    def _send(
        self, actions: Sequence[BulkAction], left: Callable[[], float], requests: list[Request]
    ) -> list[Answer] | Answer | None:
        """One bulk request that must not create an index.

        A bulk request creates a missing index, with a guessed mapping, even by a versioned delete.
        With `require_alias` the sink itself refuses that for upserts. Deletes, and all writes to a
        concrete index, are preceded by a look-up instead, which leaves a window of milliseconds.
        """
        insist = self._alias_only
        if not insist or any(action.document is None for action in actions):
            missing, insist = self._look_up(left)
            if missing:
                return missing
        seconds = left()
        if seconds <= 0:
            return None
        sent = self._bulk(actions, seconds, requests, insist=insist)
        if insist and isinstance(sent, list) and any(_not_an_alias(a) for a in sent if a is not CONFIRMED):
            # Gone since the look-up, or a sink whose `require_alias` cannot be relied on.
            self._alias_only = self._can_insist = False
            return self._send(actions, left, requests)
        return sent

    def _look_up(self, left: Callable[[], float]) -> tuple[Answer | None, bool]:
        """What stands against sending, and whether the sink can be told to insist on an alias."""
        alias = self._look(left, "_alias", self._index)
        if alias is True:
            self._alias_only = self._can_insist
            return None, self._can_insist
        found = alias
        if alias is False:
            found = self._look(left, self._index)
        if found is True or found is None or (isinstance(found, Answer) and found.status == FORBIDDEN):
            return None, False  # a key that may only write may not look either
        missing = Answer(404, "index_not_found_exception", self._absent(), request=True, ours=True)
        return (found if isinstance(found, Answer) else missing), False

    def _look(self, left: Callable[[], float], *path: str) -> Any:
        """Whether it is there, None where no time is left; half of it is kept for what follows."""
        seconds = left() / 2
        if seconds <= 0:
            return None
        with within(seconds):
            found = ask(self._client, "HEAD", *path)
        if isinstance(found, Answer) and classify(found).verdict is Verdict.SPLIT:
            return replace(found, kind="look_up_refused")  # by no item's fault
        return found

    def _bulk(
        self, actions: Sequence[BulkAction], seconds: float, requests: list[Request], *, insist: bool
    ) -> list[Answer] | Answer:
        try:
            lines = body(actions)
        except UnicodeEncodeError as error:
            return Answer(0, "unencodable", str(error), request=True)
        options: dict[str, Any] = {"require_alias": True} if insist else {}
        started = monotonic()
        with within(seconds):
            answer = ask(self._client, "PUT", self._index, "_bulk", body=lines, filter_path=FILTER, **options)
        sent = answer if isinstance(answer, Answer) else pair(actions, answer)
        result = "ok" if isinstance(sent, list) else classify(sent).reason or Reason.UNKNOWN_EXCEPTION
        requests.append(Request(str(result), monotonic() - started, len(lines)))
        return sent


def _not_an_alias(answer: Answer) -> bool:
    return answer.kind == "index_not_found_exception" and "require_alias" in answer.text

"""Delivering a batch by guarded bulk requests that never create an index."""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from json import loads
from shlex import quote
from time import monotonic
from typing import Any

import msgspec

from outboxctl.domain.clock import Deadline
from outboxctl.domain.failures import (
    MAPPING_WAIT,
    Answer,
    Classification,
    OutageScope,
    Reason,
    Verdict,
    all_done,
    classify,
)
from outboxctl.sink.delivery.bisect import Bisection
from outboxctl.sink.delivery.bulk import CONFIRMED, FILTER, BulkAction, all_created, body, pair
from outboxctl.sink.delivery.result import BulkRequest, Delivery
from outboxctl.sink.transport.client import Client
from outboxctl.sink.transport.reply import FORBIDDEN, NOT_FOUND
from outboxctl.sink.transport.request import ask

_DECODER = msgspec.json.Decoder()
NO_INDEX = "no such index or alias"
CONCRETE = 60.0  # seconds until a name that was no alias is looked up as one again
# Seconds that the engine itself may wait for a shard or a leader, of those that a request has left: it
# refuses the documents of that shard then, and writes all others. Its own default is a minute.
WAITS, SHORTEST_WAIT, LONGEST_WAIT = 1 / 3, 0.1, 10.0
# A shard without an active primary delays each request with one of its documents for that long: for a minute
# after a refusal the engine may wait one second only.
SHARD_WAIT_SECONDS, SHARD_WAIT_PERIOD_SECONDS = 1.0, 60.0


class ElasticSink:
    """Writes batches into one index or write alias, through an ingest `pipeline` if one is named.

    With `routed` it sends the routing of the actions. `new`: the index holds hardly any of the documents yet,
    so the answer that all were created is tried first. Safe to use from several threads.
    """

    def __init__(
        self, client: Client, index: str, *, pipeline: str = "", routed: bool = False, new: bool = False
    ) -> None:
        self._client, self._routed, self._new = client, routed, new
        self._parameters = {"pipeline": pipeline} if pipeline else {}
        self._index = index
        self._was_alias = False  # once: an index of that name is then one that a request made by accident
        self._alias_only = False  # the name is known to be an alias, and requests carry `require_alias`
        self._concrete_until = 0.0  # the name was an index of its own lately: it may become an alias
        self._short_wait_until = 0.0  # an item was refused lately because its shard accepts no writes
        self._doubted_until = 0.0  # the sink refused `require_alias` lately, though it says that it is one

    def ping(self) -> Classification | None:
        """None if the sink answers and the index exists, else what is wrong."""
        answer = ask(self._client, "HEAD", self._index, local=True)  # without the leader, which may be away
        if isinstance(answer, Answer):
            return None if answer.status == FORBIDDEN else classify(answer)  # writing may be allowed
        return None if answer else classify(self._absent())

    def _absent(self) -> Answer:
        text = (
            f"{NO_INDEX} {self._index}: `outboxctl --elastic-index {quote(self._index)} services up` makes it"
            " on local services, `outboxctl rebuild` elsewhere"
        )
        return Answer(NOT_FOUND, "index_not_found_exception", text, request=True, own_text=True)

    def _made_anew(self) -> Answer:
        text = (
            f"{self._index} was an alias and is an index now, as a request makes one whose index was deleted:"
            f" delete the index {self._index}, then `outboxctl rebuild`. If it is meant, restart the worker"
        )
        return Answer(NOT_FOUND, "aliases_not_found_exception", text, request=True, own_text=True)

    def deliver(self, actions: Sequence[BulkAction], *, deadline: Deadline) -> Delivery:
        """Send the actions and return the finding of each; nothing is raised.

        Only an item that the sink confirmed by id is `done`. Each request may take what is left until
        `deadline`, which its owner may move meanwhile; once nothing is left, the rest is not sent and its
        finding is None.
        """
        requests: list[BulkRequest] = []
        bisection = Bisection(lambda some: self._send(some, deadline, requests))
        findings = bisection.deliver(actions)
        if not all_done(findings) and any(map(_is_unavailable_shard, findings)):
            self._short_wait_until = monotonic() + SHARD_WAIT_PERIOD_SECONDS
        return Delivery(findings, requests)

    def _send(
        self, actions: Sequence[BulkAction], deadline: Deadline, requests: list[BulkRequest]
    ) -> list[Answer] | Answer | None:
        """One bulk request that must not create an index.

        A bulk request creates a missing index, with a guessed mapping, even by a versioned delete.
        With `require_alias` the sink itself refuses that for upserts. Deletes, and all writes to a
        concrete index, are preceded by a look-up instead, when the body is ready: the window that this
        leaves is the way of the request.
        """
        lines = body(actions, routed=self._routed or bool(actions[0].routing))
        insist = self._alias_only
        if not insist or any(action.document is None for action in actions):
            missing, insist = self._look_up(deadline)
            if missing:
                return missing
        seconds = deadline.seconds_left()
        if seconds <= 0:
            return None
        sent = self._bulk(actions, lines, seconds, requests, insist=insist)
        if insist and isinstance(sent, list) and any(_not_an_alias(a) for a in sent if a is not CONFIRMED):
            # Gone since the look-up, or a sink whose `require_alias` is not reliable: a look-up shows which.
            self._alias_only, self._doubted_until = False, monotonic() + CONCRETE
            return self._send(actions, deadline, requests)
        return sent

    def _look_up(self, deadline: Deadline) -> tuple[Answer | None, bool]:
        """The Answer for a missing index, else None, and whether to send with `require_alias`.

        An alias passes for the index that it was until lately: that it exists is asked each time.
        """
        concrete = monotonic() < self._concrete_until
        exists = is_alias = False if concrete else self._exists(deadline, "_alias", self._index)
        if is_alias is True:
            self._was_alias = True
            self._alias_only = monotonic() >= self._doubted_until
            return None, self._alias_only
        if is_alias is False:
            self._doubted_until = 0.0
            exists = self._exists(deadline, self._index, leader=True)
            if exists is True and self._was_alias:
                return self._made_anew(), False
            if not (concrete and exists is True):
                self._concrete_until = monotonic() + CONCRETE if exists is True else 0.0
        if exists is True or exists is None or (isinstance(exists, Answer) and exists.status == FORBIDDEN):
            return None, False  # an API key that may only write may not ask either
        return (exists if isinstance(exists, Answer) else self._absent()), False

    def _exists(self, deadline: Deadline, *path: str, leader: bool = False) -> bool | Answer | None:
        """Whether it exists; None where no time is left. Half of the time is kept for the bulk request.

        `leader`: the engine asks its leader, and takes a limit for that. Of an alias it takes none.
        """
        seconds = deadline.seconds_left() / 2
        if seconds <= 0:
            return None
        wait: dict[str, Any] = {self._client.engine.leader_timeout: wait_of(seconds)} if leader else {}
        answer: bool | Answer = ask(self._client, "HEAD", *path, seconds=seconds, **wait)
        if isinstance(answer, Answer) and classify(answer).verdict is Verdict.SPLIT:
            return replace(answer, kind="look_up_refused")  # the fault of no item
        return answer

    def _bulk(
        self,
        actions: Sequence[BulkAction],
        lines: bytes,
        seconds: float,
        requests: list[BulkRequest],
        *,
        insist: bool,
    ) -> list[Answer] | Answer:
        options: dict[str, Any] = {"require_alias": True} if insist else {}
        longest = SHARD_WAIT_SECONDS if monotonic() < self._short_wait_until else LONGEST_WAIT
        wait = wait_of(seconds, longest)
        options |= {"body": lines, "filter_path": FILTER, "seconds": seconds, "timeout": wait}
        options |= self._parameters
        started = monotonic()
        decode = partial(_read, actions=actions, new=self._new)
        answer = ask(self._client, "POST", self._index, "_bulk", decode=decode, **options)
        sent: list[Answer] | Answer = pair(actions, None) if answer is None else answer
        result = "ok" if isinstance(sent, list) else classify(sent).reason or Reason.UNKNOWN_EXCEPTION
        requests.append(BulkRequest(str(result), monotonic() - started, len(lines)))
        return sent


def _read(body: bytes, actions: Sequence[BulkAction], *, new: bool) -> list[Answer] | Answer:
    """The answer paired with the actions, unparsed where all were created; else by msgspec, or Python."""
    if new and body == all_created(actions):
        return [CONFIRMED] * len(actions)
    try:
        return pair(actions, _DECODER.decode(body))
    except msgspec.DecodeError:
        return pair(actions, loads(body))


def wait_of(seconds: float, longest: float = LONGEST_WAIT) -> str:
    """How long the engine may wait within a request of so many seconds, as its parameter."""
    return f"{round(1000 * min(longest, max(SHORTEST_WAIT, seconds * WAITS)))}ms"


def _is_unavailable_shard(finding: Classification | None) -> bool:
    """Return whether an item was refused because its shard accepts no writes.

    A wait for a mapping update is not shortened: it is the leader's, and would never be long enough then.
    """
    if finding is None or finding.reason is not Reason.UNAVAILABLE:
        return False
    return finding.scope is OutageScope.EVENT and MAPPING_WAIT not in finding.error


def _not_an_alias(answer: Answer) -> bool:
    return answer.kind == "index_not_found_exception" and "require_alias" in answer.text

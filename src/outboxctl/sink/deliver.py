"""Delivering a batch: a guarded bulk request, split where the sink refuses it as a whole."""

from collections.abc import Sequence
from dataclasses import dataclass
from time import monotonic
from typing import Any

from elasticsearch import Elasticsearch

from outboxctl.failures import DONE, Answer, Finding, Reason, Verdict, classify
from outboxctl.sink.bulk import CONFIRMED, FILTER, Action, body, pair
from outboxctl.sink.request import ask

FORBIDDEN = 403
NO_INDEX = "no such index or alias; create it with `outboxctl services up` or your own mapping"
LATE = "the time for this delivery was used up"


@dataclass(frozen=True)
class Request:
    """One bulk request: what it ended in (`ok` or a reason) and how many seconds it took."""

    result: str
    seconds: float


@dataclass(frozen=True)
class Delivery:
    """Findings in the order of the actions, and the bulk requests that it took."""

    findings: list[Finding]
    requests: list[Request]


class ElasticSink:
    """Writes batches into one index or write alias; safe to use from several threads."""

    def __init__(self, client: Elasticsearch, index: str) -> None:
        self._client = client
        self._index = index
        self._alias_only = False  # the name is known to be an alias, and the sink asked to insist
        self._can_insist = True

    def ping(self) -> Finding | None:
        """None if the sink answers and the index is there, else what is wrong."""
        found = ask(lambda: self._client.indices.exists(index=self._index))
        if isinstance(found, Answer):
            return classify(found)
        return None if found else Finding(Verdict.OUTAGE, Reason.INDEX_UNAVAILABLE, error=NO_INDEX)

    def deliver(self, actions: Sequence[Action], *, deadline: float) -> Delivery:
        """Send the actions and say of each what became of it; nothing is raised.

        Only an item that the sink confirmed by id is `done`. A request refused for its size or for
        one of its items is halved until the item is alone; that one fails. No request lasts beyond
        `deadline` (monotonic seconds).
        """
        requests: list[Request] = []
        return Delivery(self._findings(actions, deadline, requests), requests)

    def _findings(self, actions: Sequence[Action], deadline: float, requests: list[Request]) -> list[Finding]:
        sent = self._send(actions, deadline, requests)
        if isinstance(sent, list):
            return [DONE if answer is CONFIRMED else classify(answer) for answer in sent]
        finding = classify(sent)
        if finding.verdict is not Verdict.SPLIT:
            return [finding] * len(actions)
        if len(actions) == 1:
            return [Finding(Verdict.FAIL, finding.reason, error=finding.error)]
        middle = len(actions) // 2
        halves = (actions[:middle], actions[middle:])
        return [found for half in halves for found in self._findings(half, deadline, requests)]

    def _send(
        self, actions: Sequence[Action], deadline: float, requests: list[Request]
    ) -> list[Answer] | Answer:
        """One bulk request that must not create an index.

        A bulk request creates a missing index, with a guessed mapping, even by a versioned delete.
        With `require_alias` the sink itself refuses that for upserts. Deletes, and all writes to a
        concrete index, are preceded by a look-up instead, which leaves a window of milliseconds.
        """
        left = deadline - monotonic()
        if left <= 0:
            return Answer(0, "timeout", LATE, request=True)
        client = self._client.options(request_timeout=left)
        insist = self._alias_only
        if not insist or any(action.document is None for action in actions):
            missing, insist = self._look_up(client)
            if missing:
                return missing
        sent = self._bulk(client, actions, requests, insist=insist)
        if insist and isinstance(sent, list) and any(map(_not_an_alias, sent)):
            # Gone since the look-up, or a sink whose `require_alias` cannot be relied on.
            self._alias_only = self._can_insist = False
            return self._send(actions, deadline, requests)
        return sent

    def _look_up(self, client: Elasticsearch) -> tuple[Answer | None, bool]:
        """What stands against sending, and whether the sink can be told to insist on an alias."""
        alias = ask(lambda: client.indices.exists_alias(name=self._index))
        if alias is True:
            self._alias_only = self._can_insist
            return None, self._can_insist
        found = alias if isinstance(alias, Answer) else ask(lambda: client.indices.exists(index=self._index))
        if found is True or (isinstance(found, Answer) and found.status == FORBIDDEN):
            return None, False  # a key that may only write may not look either
        missing = Answer(404, "index_not_found_exception", NO_INDEX, request=True)
        return (found if isinstance(found, Answer) else missing), False

    def _bulk(
        self, client: Elasticsearch, actions: Sequence[Action], requests: list[Request], *, insist: bool
    ) -> list[Answer] | Answer:
        options: dict[str, Any] = {"require_alias": True} if insist else {}
        started = monotonic()
        answer = ask(
            lambda: client.bulk(
                index=self._index,
                operations=body(actions),  # type: ignore[arg-type] # bytes go through untouched
                filter_path=FILTER,
                **options,
            )
        )
        sent = answer if isinstance(answer, Answer) else pair(actions, answer)
        result = "ok" if isinstance(sent, list) else classify(sent).reason or Reason.UNKNOWN_EXCEPTION
        requests.append(Request(str(result), monotonic() - started))
        return sent


def _not_an_alias(answer: Answer) -> bool:
    return answer.kind == "index_not_found_exception" and "require_alias" in answer.text

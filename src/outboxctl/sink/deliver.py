"""Delivering a batch: a guarded bulk request, split where the sink refuses it as a whole."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from elasticsearch import Elasticsearch

from outboxctl.failures import DONE, Answer, Finding, Reason, Verdict, classify
from outboxctl.sink.bulk import CONFIRMED, FILTER, Action, body, pair
from outboxctl.sink.request import ask

NO_INDEX = "no such index or alias; create it with `outboxctl services up` or your own mapping"


@dataclass(frozen=True)
class Delivery:
    """Findings in the order of the actions, and what each bulk request ended in (a metric label)."""

    findings: list[Finding]
    requests: list[str]


class ElasticSink:
    """Writes batches into one index or write alias; safe to use from several threads."""

    def __init__(self, client: Elasticsearch, index: str) -> None:
        self._client = client
        self._index = index
        self._alias_only = False  # the name is known to be an alias, and the sink asked to insist
        self._can_insist = True

    def close(self) -> None:
        """Close the client's connections."""
        self._client.close()

    def ping(self) -> Finding | None:
        """None if the sink answers and the index is there, else what is wrong."""
        found = ask(lambda: self._client.indices.exists(index=self._index))
        if isinstance(found, Answer):
            return classify(found)
        return None if found else _missing()

    def deliver(self, actions: Sequence[Action]) -> Delivery:
        """Send the actions and say of each what became of it; nothing is raised.

        Only an item that the sink confirmed by id is `done`. A request refused for its size or for
        one of its items is halved until the item is alone; that one fails.
        """
        sent = self._send(actions)
        if isinstance(sent, list):
            return Delivery([DONE if a is CONFIRMED else classify(a) for a in sent], ["ok"])
        finding = classify(sent)
        label = finding.reason or Reason.UNKNOWN_EXCEPTION
        if finding.verdict is not Verdict.SPLIT:
            return Delivery([finding] * len(actions), [label])
        if len(actions) == 1:
            return Delivery([Finding(Verdict.FAIL, finding.reason, error=finding.error)], [label])
        middle = len(actions) // 2
        left, right = self.deliver(actions[:middle]), self.deliver(actions[middle:])
        return Delivery(left.findings + right.findings, [label, *left.requests, *right.requests])

    def _send(self, actions: Sequence[Action]) -> list[Answer] | Answer:
        """One bulk request that must not create an index.

        A bulk request creates a missing index, with a guessed mapping, even by a versioned delete.
        With `require_alias` the sink itself refuses that for upserts. Deletes, and all writes to a
        concrete index, are preceded by a look-up instead, which leaves a window of milliseconds.
        """
        if not self._alias_only or any(action.document is None for action in actions):
            missing = self._look_up()
            if missing:
                return missing
        sent = self._bulk(actions)
        if self._alias_only and isinstance(sent, list) and any(map(_not_an_alias, sent)):
            # Gone since the look-up, or a sink whose `require_alias` cannot be relied on.
            self._alias_only = self._can_insist = False
            return self._look_up() or self._bulk(actions)
        return sent

    def _look_up(self) -> Answer | None:
        alias = ask(lambda: self._client.indices.exists_alias(name=self._index))
        if alias is True:
            self._alias_only = self._can_insist
            return None
        found = ask(lambda: self._client.indices.exists(index=self._index))
        if isinstance(found, Answer):
            return found
        return None if found else Answer(404, "index_not_found_exception", NO_INDEX, request=True)

    def _bulk(self, actions: Sequence[Action]) -> list[Answer] | Answer:
        options: dict[str, Any] = {"require_alias": True} if self._alias_only else {}
        answer = ask(
            lambda: self._client.bulk(
                index=self._index,
                operations=body(actions),  # type: ignore[arg-type] # bytes go through untouched
                filter_path=FILTER,
                **options,
            )
        )
        return answer if isinstance(answer, Answer) else pair(actions, answer)


def _not_an_alias(answer: Answer) -> bool:
    return answer.kind == "index_not_found_exception" and "require_alias" in answer.text


def _missing() -> Finding:
    return Finding(Verdict.OUTAGE, Reason.INDEX_UNAVAILABLE, error=NO_INDEX)

"""One question to the sink: its answer, or an error that says whether anybody was there."""

from collections.abc import Callable, Sequence
from typing import Any

from elasticsearch import Elasticsearch

from outboxctl.errors import RefusedError, UnreachableError
from outboxctl.failures import Answer, classify
from outboxctl.sink.request import ask


def told(call: Callable[[], Any]) -> Any:
    """The body of a 2xx answer. UnreachableError without an answer, RefusedError for any other one."""
    answer = ask(call)
    if isinstance(answer, Answer):
        raise refused(answer)
    return answer


def held(client: Elasticsearch, index: str, ids: Sequence[str]) -> dict[str, int]:
    """The version of each of these documents that is there."""
    found = told(lambda: client.mget(index=index, ids=list(ids), source=False))
    return {doc["_id"]: doc["_version"] for doc in found["docs"] if doc.get("found")}


def refused(answer: Answer) -> RefusedError | UnreachableError:
    """The error that stands for an answer that is none."""
    finding = classify(answer)
    if answer.status:
        return RefusedError(f"HTTP {answer.status}, {finding.reason}: {finding.error}")
    return UnreachableError(f"{finding.reason}: {finding.error}")

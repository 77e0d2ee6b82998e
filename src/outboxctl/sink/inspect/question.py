"""One question to the sink: its answer, or an error that says whether anybody was there."""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from outboxctl.domain.errors import RefusedError, UnreachableError
from outboxctl.domain.failures import Answer, classify
from outboxctl.sink.transport.client import Client
from outboxctl.sink.transport.request import ask
from outboxctl.sink.transport.tls import untrusted

Fact = TypeVar("Fact")


def require_answer(client: Client, method: str, *path: str, **more: Any) -> Any:
    """As `ask`; UnreachableError without an answer, RefusedError for any other than a 2xx."""
    answer = ask(client, method, *path, **more)
    if isinstance(answer, Answer):
        raise refused(answer)
    return answer


def shaped(read: Callable[[], Fact]) -> Fact:
    """What `read` makes of answers; RefusedError where they have another shape than Elasticsearch's."""
    try:
        return read()
    except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
        raise RefusedError(f"the answer is not one of Elasticsearch's ({type(error).__name__})") from None


def held(client: Client, index: str, ids: Sequence[str]) -> dict[str, int]:
    """The version of each of these documents that is there."""
    found = require_answer(client, "POST", index, "_mget", body={"ids": list(ids)}, _source=False)
    return {doc["_id"]: doc["_version"] for doc in found["docs"] if doc.get("found")}


def refused(answer: Answer) -> RefusedError | UnreachableError:
    """The error that stands for an answer that is none."""
    finding = classify(answer)
    if answer.status or answer.kind == "client":  # it was we who could not ask
        return RefusedError(f"HTTP {answer.status}, {finding.reason}: {finding.error}")
    if answer.kind == "tls":
        return untrusted(answer.text)
    known = finding.error.startswith(f"{finding.reason}:")  # an error begins with its kind
    return UnreachableError(finding.error if known else f"{finding.reason}: {finding.error}")

"""One request to the sink, and whatever became of it: as an `Answer`, or raised where there must be one."""

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar
from urllib.parse import quote

from outboxctl.domain.errors import RefusedError, UnreachableError, UntrustedError, UsageError
from outboxctl.domain.failures import Answer, Reason, Verdict, classify
from outboxctl.net.certificates import SINK
from outboxctl.sink.transport.client import Client
from outboxctl.sink.transport.reply import Decode, body_of

HINT = "check ELASTIC_URL and ELASTIC_INDEX: `outboxctl doctor --only sink` says more"
RIGHTS = "check the user or key and its rights: `outboxctl roles` (--projection-index for a projection)"
# The engine's words for a change that waited for 30 s behind others, and was given up before it began.
NOT_BEGUN = "process_cluster_event_timeout_exception"
# For a change, longer than the 30 s for which the engine waits for a node that does not confirm it.
CHANGE_SECONDS = 45.0
Fact = TypeVar("Fact")


def ask(
    client: Client,
    method: str,
    *path: str,
    body: Any = None,
    seconds: float | None = None,
    decode: Decode = json.loads,
    **params: Any,
) -> Any | Answer:
    """Send one request, and return the parsed body of a 2xx answer, or an Answer that says why there is none.

    `path` is in parts, `params` in Python's values: `ask(client, "PUT", index, "_settings", body=…)`.
    HEAD asks whether something is there: True or False. `seconds` is how long the request may take.
    `local=True` has a node say what it knows of indexes itself: while the leader is frozen, none asks that.
    `decode` reads the body of a 2xx answer.
    """
    reply = client.send(method, _path(path), _texts(params), body, seconds, decode=decode)
    return body_of(reply, head=method == "HEAD")


def demand(client: Client, method: str, *path: str, **more: Any) -> Any:
    """As `ask`; raises UnreachableError where there is no answer."""
    answer = ask(client, method, *path, **more)
    if isinstance(answer, Answer):
        raise failure(client, answer)
    return answer


def require_accepted(client: Client, method: str, *path: str, **more: Any) -> Any:
    """As `demand`; UsageError where the request was refused for what it says."""
    answer = ask(client, method, *path, **more)
    if not isinstance(answer, Answer):
        return answer
    error = failure(client, answer)
    if classify(answer).verdict in (Verdict.FAIL, Verdict.SPLIT):
        raise UsageError(str(error))
    raise error


def change(
    client: Client,
    method: str,
    *path: str,
    ask_by: Callable[..., Any] = require_accepted,
    done: Callable[[], bool] = lambda: False,
    **more: Any,
) -> None:
    """Change indexes or aliases; as `require_accepted`, or as another `ask_by`.

    Raises UnreachableError where the answer, a 2xx all the same, does not confirm the change: not all nodes
    have made it within their time (`acknowledged`), or a part of it was left out (`errors`). A node that is
    frozen confirms nothing, until the others give it up: so where it is not confirmed, or there is no answer,
    `done` tells whether the nodes that answer have made it, which is enough.
    """
    for last in (False, False, True):
        try:
            answer = ask_by(client, method, *path, **({"seconds": CHANGE_SECONDS} | more))
            break
        except UnreachableError as error:
            if done():
                return
            if last or NOT_BEGUN not in str(error):
                raise
    partial = bool(answer.get("errors")) if isinstance(answer, dict) else True
    if partial or (answer.get("acknowledged") is not True and not done()):
        what = f"{method} {_path(path)}: it may be done, later, or never"
        raise UnreachableError(
            f"the sink at {client.where} did not confirm {what}",
            hint="look at GET /_alias and GET /_cluster/pending_tasks, then run the same command again",
        )


def failure(client: Client, answer: Answer) -> UnreachableError:
    """The error for an answer that a command cannot go on with."""
    finding = classify(answer)
    if answer.kind == "tls":
        return _untrusted(answer, f"the sink at {client.where} failed (tls): ")
    return UnreachableError(
        f"the sink at {client.where} failed ({finding.reason}): {finding.error}",
        hint=RIGHTS if finding.reason is Reason.AUTH else HINT,
    )


def _untrusted(answer: Answer, where: str = "") -> UntrustedError:
    return UntrustedError(where + answer.text.removesuffix(f"; {SINK.hint}"), hint=SINK.hint)


def _path(parts: tuple[str, ...]) -> str:
    return "/" + "/".join(quote(part, safe=",*") for part in parts)


def _texts(params: Mapping[str, Any]) -> dict[str, str]:
    return {name: _text(value) for name, value in params.items()}


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


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
    answer = require_answer(client, "POST", index, "_mget", body={"ids": list(ids)}, _source=False)
    return {doc["_id"]: doc["_version"] for doc in answer["docs"] if doc.get("found")}


def refused(answer: Answer) -> RefusedError | UnreachableError:
    """The error that stands for an answer that is none."""
    finding = classify(answer)
    if answer.status or answer.kind == "client":  # it was we who could not ask
        return RefusedError(f"HTTP {answer.status}, {finding.reason}: {finding.error}")
    if answer.kind == "tls":
        return _untrusted(answer)
    known = finding.error.startswith(f"{finding.reason}:")  # an error begins with its kind
    return UnreachableError(finding.error if known else f"{finding.reason}: {finding.error}")

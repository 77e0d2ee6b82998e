"""One request to the sink, and whatever became of it: as an `Answer`, or raised where there must be one."""

import json
from collections.abc import Callable
from typing import Any, TypeVar
from urllib.parse import quote

from outboxctl.domain.errors import (
    ExitCode,
    OutboxctlError,
    RefusedError,
    UnreachableError,
    UntrustedError,
    UsageError,
)
from outboxctl.domain.failures import NO_CREDENTIALS, Answer, Reason, Verdict, classify
from outboxctl.net.certificates import SINK
from outboxctl.sink.transport.client import Client
from outboxctl.sink.transport.reply import Decode, body_of

HINT = "check ELASTIC_URL and ELASTIC_INDEX: `outboxctl doctor --only sink` says more"
RIGHTS = "check the user or key and its rights: `outboxctl roles` (--projection-index for a projection)"
OURS = ("client", NO_CREDENTIALS)  # without a status: it was we who could not ask
# The engine's words for a change that waited for 30 s behind others, and was given up before it began.
NOT_BEGUN = "process_cluster_event_timeout_exception"
# For a change, longer than the 30 s for which the engine waits for a node that does not confirm it.
CHANGE_SECONDS = 45.0
Fact = TypeVar("Fact")


class SinkRefusedError(RefusedError, UnreachableError):
    """The sink answers, and does not do it: a right is missing, or it is ill."""


class DeniedError(SinkRefusedError):
    """It does not accept the user or key, or these may not do it."""


class BadRequestError(SinkRefusedError, UsageError):
    """The sink refuses a request for what it says."""

    exit_code = ExitCode.USAGE


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
    texts = {name: str(v).lower() if isinstance(v, bool) else str(v) for name, v in params.items()}
    reply = client.send(method, _path(path), texts, body, seconds)
    return body_of(reply, decode, head=method == "HEAD")


def request(client: Client, method: str, *path: str, absent: Any = (), **more: Any) -> Any:
    """As `ask`; None for one of the statuses in `absent`. Any other Answer is raised, as `failure` says."""
    answer = ask(client, method, *path, **more)
    if not isinstance(answer, Answer):
        return answer
    if answer.status in absent:
        return None
    raise failure(answer)


def failure(answer: Answer) -> OutboxctlError:
    """The error for an answer that a command cannot go on with.

    UnreachableError without a reply, UntrustedError where TLS fails. BadRequestError where a request is
    refused for what it says, DeniedError for who asks, SinkRefusedError for any other reply.
    """
    if answer.kind == "tls":
        why = answer.text.removesuffix(f"; {SINK.hint}")
        return UntrustedError(f"the search engine at {answer.node} failed (tls): {why}", hint=SINK.hint)
    finding = classify(answer)
    text = finding.words
    if finding.reason is Reason.AUTH:
        return DeniedError(text, hint=RIGHTS)
    if not answer.status and answer.kind not in OURS:
        return UnreachableError(text, hint=HINT)
    if finding.verdict in (Verdict.FAIL, Verdict.SPLIT):
        return BadRequestError(text)
    return SinkRefusedError(text, hint=HINT)


def must_list(client: Client) -> None:
    """Raise RefusedError where the engine cannot show all that an index holds by now."""
    if not client.engine.lists:
        raise RefusedError(
            f"{client.engine.title} cannot show all that an index holds: it has no _refresh and no shards",
            hint="verify, rebuild and preview need a domain: docs/deploy/aws.md says what goes without them",
        )


def refresh(client: Client, name: str, seconds: float | None = None) -> None:
    """Show searches everything written so far. Raises as `request` and `must_list`."""
    must_list(client)
    request(client, "POST", name, "_refresh", seconds=seconds)


def change(
    client: Client,
    method: str,
    *path: str,
    done: Callable[[], bool] = lambda: False,
    **more: Any,
) -> None:
    """Change indexes or aliases; as `request`.

    Raises UnreachableError where the answer, a 2xx all the same, does not confirm the change: not all nodes
    have made it within their time (`acknowledged`), or a part of it was left out (`errors`). A node that is
    frozen confirms nothing, until the others give it up: so where it is not confirmed, or there is no answer,
    `done` tells whether the nodes that answer have made it, which is enough.
    """
    for last in (False, False, True):
        try:
            answer = request(client, method, *path, **({"seconds": CHANGE_SECONDS} | more))
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
            f"the search engine at {client.where} did not confirm {what}",
            hint="look at GET /_alias and GET /_cluster/pending_tasks, then run the same command again",
        )


def _path(parts: tuple[str, ...]) -> str:
    return "/" + "/".join(quote(part, safe="") for part in parts)


def shaped(read: Callable[[], Fact]) -> Fact:
    """What `read` makes of answers; RefusedError where they have another shape than Elasticsearch's."""
    try:
        return read()
    except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
        raise RefusedError(f"the answer is not one of Elasticsearch's ({type(error).__name__})") from None

"""One request to the sink, and whatever became of it: as an `Answer`, or raised where there must be one."""

from collections.abc import Callable
from contextlib import suppress
from email.utils import parsedate_to_datetime
from time import time
from typing import Any

import elastic_transport
import elasticsearch
from urllib3.exceptions import ProtocolError

from outboxctl.errors import UnreachableError
from outboxctl.failures import Answer, classify
from outboxctl.sink.client import NOT_SENT, SEEN
from outboxctl.sink.error import error_of
from outboxctl.urls import mask

HINT = "check ELASTIC_URL and ELASTIC_INDEX, or run `outboxctl services status`"
REDIRECT = 300  # and above: no 2xx
WRONG_PRODUCT = Answer(200, "wrong_product", "no X-Elastic-Product header", request=True)
LONGEST_WAIT = 86_400.0  # seconds: a Retry-After beyond a day is a day


def ask(call: Callable[[], Any], *, anybody: bool = False) -> Any | Answer:
    """Return the parsed body of a 2xx answer, or an Answer that says why there is none.

    That of `anybody` need not say that it is Elasticsearch's.
    """
    try:
        answer = call()
        return answer.body if anybody or _is_elasticsearch(answer.meta) else WRONG_PRODUCT
    except elasticsearch.UnsupportedProductError:
        return WRONG_PRODUCT
    except elasticsearch.ApiError as error:
        return _refused(error)
    except elastic_transport.SerializationError as error:
        ok = 200 <= SEEN.status < 300 or not SEEN.status  # noqa: PLR2004 - any 2xx
        return Answer(SEEN.status, "bad_response" if ok else "", str(error)[:500], request=True)
    except elastic_transport.TransportError as error:
        return _unanswered(error)
    except Exception as error:
        # The client lets Python's own errors through. Their text may hold a header, so a secret.
        return Answer(0, "client", type(error).__name__, request=True)


def _is_elasticsearch(meta: elastic_transport.ApiResponseMeta) -> bool:
    """Whether this very answer says so: the client asks only once, and a proxy may answer later."""
    return meta.status >= REDIRECT or meta.headers.get("x-elastic-product") == "Elasticsearch"


def demand(client: elasticsearch.Elasticsearch, call: Callable[[], Any]) -> Any:
    """The parsed body of a 2xx answer; raises UnreachableError where there is none."""
    answer = ask(call)
    if not isinstance(answer, Answer):
        return answer
    raise failure(client, answer)


def failure(client: elasticsearch.Elasticsearch, answer: Answer) -> UnreachableError:
    """The error for an answer that a command cannot go on with."""
    finding = classify(answer)
    where = ", ".join(mask(node.base_url) for node in client.transport.node_pool.all())
    if answer.kind == "tls":
        from outboxctl.sink import tls  # noqa: PLC0415 - as below

        return tls.untrusted(answer.text, f"the sink at {where} failed (tls): ")
    return UnreachableError(
        f"the sink at {where} failed ({finding.reason}): {finding.error}",
        hint=HINT,
    )


def _unanswered(error: elastic_transport.TransportError) -> Answer:
    kind, cause = _transport_kind(error), error.__cause__ or error
    if kind in {"tls", "reset"}:
        from outboxctl.sink import tls  # noqa: PLC0415 - a moment that http does without

        if said := tls.explained(cause, SEEN.config, certain=kind == "tls"):
            return Answer(0, "tls", said[:500], request=True)
    return Answer(0, kind, str(cause)[:500], request=True)


def _refused(error: elasticsearch.ApiError) -> Answer:
    kind, text = error_of(error.body.get("error") if isinstance(error.body, dict) else error.body)
    wait = _seconds(error.meta.headers.get("retry-after"))
    return Answer(error.status_code, kind, text, request=True, retry_after=wait)


def _seconds(retry_after: str | None) -> float:
    """A Retry-After header, a number of seconds or a date (RFC 9110, 10.2.3), as seconds from now."""
    with suppress(TypeError, ValueError, OverflowError):
        if str(retry_after).strip().isdecimal():
            return min(float(str(retry_after)), LONGEST_WAIT)
        moment = parsedate_to_datetime(str(retry_after))
        return min(max(0.0, moment.timestamp() - time()), LONGEST_WAIT)
    return 0.0


def _transport_kind(error: elastic_transport.TransportError) -> str:
    if isinstance(error, elastic_transport.TlsError):
        return "tls"
    if isinstance(error.__cause__, NOT_SENT):
        return "connect"
    if isinstance(error, elastic_transport.ConnectionTimeout):
        return "timeout"
    return "reset" if _closed_without_a_word(error.__cause__) else "connection_lost"


def _closed_without_a_word(cause: BaseException | None) -> bool:
    """Whether the peer reset or closed the connection before any answer: what a size limit can look like."""
    if not isinstance(cause, ProtocolError) or cause.args[0] != "Connection aborted.":
        return False  # broken in the middle of its answer
    return len(cause.args) > 1 and isinstance(cause.args[1], ConnectionError)

"""Why a request got no answer, as an `Answer` in plain words: which node, and what was waited for."""

import socket
from http.client import HTTPException, RemoteDisconnected
from ssl import SSLError

from urllib3 import exceptions

from outboxctl.domain.failures import Answer
from outboxctl.domain.redaction import cut
from outboxctl.net.certificates import SINK
from outboxctl.sink.transport.connection import Attempt

LONGEST_PATH = 200  # characters of a path that are shown
UNREACHED = (exceptions.NewConnectionError, exceptions.ConnectTimeoutError)
# The first that fits: subclasses come before their base.
ENDS: dict[type[BaseException], str] = {
    RemoteDisconnected: "{node} closed the connection before it answered {asked}",
    ConnectionResetError: "{node} reset the connection before it answered {asked}",
    HTTPException: "the answer of {node} to {asked} is not HTTP",
}


class RefusedAnswerError(exceptions.HTTPError):
    """An answer whose body is not read; `kind` is that of the `Answer`."""

    def __init__(self, kind: str, text: str) -> None:
        super().__init__(text)
        self.kind = kind


def asked(method: str, target: str) -> str:
    """A request for people: its method and its path, without parameters."""
    return f"{method} {target.partition('?')[0][:LONGEST_PATH]}"


def explain(error: Exception, attempt: Attempt) -> Answer:
    """The Answer for what a connection raised."""
    node, unsent, cause = attempt.node, not attempt.sent, _cause(error)
    if isinstance(error, RefusedAnswerError):
        return Answer(0, error.kind, str(error), request=True, node=node)
    if not isinstance(cause, OSError | HTTPException | exceptions.HTTPError):
        # Its text may hold a secret.
        return Answer(0, "client", type(cause).__name__, request=True, node=node, unsent=unsent)
    reached = not isinstance(error, UNREACHED) and not isinstance(cause, socket.gaierror)
    kind = _kind(cause, attempt) if reached else "connect"
    if kind == "tls":
        text = f"{cut(str(cause), 300)}; {SINK.hint}"
        return Answer(0, kind, text, request=True, node=node, unsent=unsent)
    text = _unreachable(cause, attempt, reached) if kind == "connect" else _text(kind, cause, attempt)
    return Answer(0, kind, cut(text, 500), request=True, unsent=unsent)


def _cause(error: Exception) -> Exception:
    """What urllib3 has wrapped: an error of the socket, of TLS or of HTTP."""
    if isinstance(error, UNREACHED) and isinstance(error.__cause__, OSError):
        return error.__cause__
    if isinstance(error, exceptions.SSLError | exceptions.ProtocolError) and error.args:
        return error.args[-1] if isinstance(error.args[-1], Exception) else error
    return error


def _kind(cause: Exception, attempt: Attempt) -> str:
    if attempt.watch.expired or isinstance(cause, TimeoutError | exceptions.TimeoutError):
        return "timeout"
    if isinstance(cause, exceptions.EmptyPoolError):
        return "timeout"
    if isinstance(cause, SSLError | exceptions.SSLError):
        return "tls"
    if isinstance(cause, ConnectionError) and attempt.status is None:
        # What a size limit can look like; of a node that has never answered, TLS where the URL says http.
        return "reset" if attempt.answered else "connect"
    return "connection_lost"


def _text(kind: str, cause: Exception, attempt: Attempt) -> str:
    if kind == "timeout" and attempt.sent:
        return f"{attempt.node} did not answer {attempt.asked} within {attempt.seconds:.3g} s"
    if isinstance(cause, exceptions.EmptyPoolError):
        return f"no connection to {attempt.node} was free within {attempt.connecting:.3g} s"
    if kind == "timeout":
        return f"{attempt.node} did not finish the TLS handshake within {attempt.connecting:.3g} s"
    if attempt.status is not None:
        return f"{attempt.node} closed the connection in the middle of its answer to {attempt.asked}"
    end = next((text for end, text in ENDS.items() if isinstance(cause, end)), None)
    if end:
        return end.format(node=attempt.node, asked=attempt.asked)
    return f"{attempt.node}, asked for {attempt.asked}: {cause}"


def _unreachable(cause: Exception, attempt: Attempt, reached: bool) -> str:
    reason = cause.strerror if isinstance(cause, OSError) and cause.strerror else str(cause)
    if isinstance(cause, socket.gaierror):
        return f"the name of {attempt.node} cannot be resolved: {reason}"
    if isinstance(cause, ConnectionRefusedError):
        return f"{attempt.node} refused the connection"
    if isinstance(cause, TimeoutError):
        return f"{attempt.node} did not accept the connection within {attempt.connecting:.3g} s"
    if reached:  # and never answered: most of all a server that expects TLS
        ended = f"{attempt.node} ended the connection without an answer: {reason}"
        return f"{ended}; if it speaks TLS, write https:// into ELASTIC_URL"
    return f"{attempt.node} cannot be reached: {reason}"

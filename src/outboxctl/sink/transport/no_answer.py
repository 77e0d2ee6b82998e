"""Why a request got no answer, as an `Answer` in plain words: which node, and what was waited for."""

import socket
from http.client import HTTPException, RemoteDisconnected
from ssl import SSLError
from typing import NamedTuple

from urllib3 import exceptions

from outboxctl.domain.failures import Answer
from outboxctl.domain.redaction import cut
from outboxctl.net.certificates import SINK
from outboxctl.sink.transport.bounded import RefusedAnswerError

LONGEST_PATH = 200  # characters of a path that are shown
# The first that fits: subclasses come before their base. urllib3's is of a body that ends too early.
ENDS: dict[type[BaseException], str] = {
    RemoteDisconnected: "{node} closed the connection before it answered {asked}",
    ConnectionResetError: "{node} reset the connection before it answered {asked}",
    exceptions.ProtocolError: "{node} closed the connection in the middle of its answer to {asked}",
    HTTPException: "the answer of {node} to {asked} is not HTTP",
}


class Attempt(NamedTuple):
    """A request to a node: its URL (masked), method and path, and how far it came.

    `seconds` it could take, `connecting` of these for a connection. `reached`: the server was; `sent`:
    something of the request was; `late`: the deadline has passed. `answered`: the node has, at some time.
    """

    node: str
    asked: str
    seconds: float
    connecting: float
    reached: bool
    sent: bool
    late: bool
    answered: bool = True


def asked(method: str, target: str) -> str:
    """A request for people: its method and its path, without parameters."""
    return f"{method} {target.partition('?')[0][:LONGEST_PATH]}"


def explain(error: Exception, attempt: Attempt) -> Answer:
    """The Answer for what a connection raised."""
    node, unsent = attempt.node, not attempt.sent
    if isinstance(error, RefusedAnswerError):
        return Answer(0, error.kind, str(error), request=True, node=node)
    if not isinstance(error, OSError | HTTPException | exceptions.HTTPError):
        # Its text may hold a secret.
        return Answer(0, "client", type(error).__name__, request=True, node=node, unsent=unsent)
    kind = _kind(error, attempt)
    if kind == "tls":
        text = f"{cut(str(error), 300)}; {SINK.hint}"
        return Answer(0, kind, text, request=True, node=node, unsent=unsent)
    return Answer(0, kind, cut(_text(kind, error, attempt), 500), request=True, unsent=unsent)


def _kind(error: Exception, attempt: Attempt) -> str:
    if not attempt.reached:
        return "connect"
    if attempt.late or isinstance(error, TimeoutError | exceptions.TimeoutError):
        return "timeout"
    if isinstance(error, SSLError | exceptions.SSLError):
        return "tls"
    if isinstance(error, ConnectionError):
        # What a size limit can look like; of a node that has never answered, TLS where the URL says http.
        return "reset" if attempt.answered else "connect"
    return "connection_lost"


def _text(kind: str, error: Exception, attempt: Attempt) -> str:
    if kind == "timeout" and attempt.sent:
        return f"{attempt.node} did not answer {attempt.asked} within {attempt.seconds:.3g} s"
    if kind == "timeout":
        return f"{attempt.node} did not finish the TLS handshake within {attempt.connecting:.3g} s"
    if kind == "connect":
        return _unreachable(error, attempt)
    end = next((text for end, text in ENDS.items() if isinstance(error, end)), None)
    if end:
        return end.format(node=attempt.node, asked=attempt.asked)
    return f"{attempt.node}, asked for {attempt.asked}: {error}"


def _unreachable(error: Exception, attempt: Attempt) -> str:
    reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    if isinstance(error, socket.gaierror):
        return f"the name of {attempt.node} cannot be resolved: {reason}"
    if isinstance(error, ConnectionRefusedError):
        return f"{attempt.node} refused the connection"
    if isinstance(error, TimeoutError):
        return f"{attempt.node} did not accept the connection within {attempt.connecting:.3g} s"
    if attempt.reached:  # and never answered: most of all a server that expects TLS
        ended = f"{attempt.node} ended the connection without an answer: {reason}"
        return f"{ended}; if it speaks TLS, write https:// into ELASTIC_URL"
    return f"{attempt.node} cannot be reached: {reason}"

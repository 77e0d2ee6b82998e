"""Why a request got no answer, as an `Answer` with plain words in place of Python's."""

import socket
from http.client import HTTPException, RemoteDisconnected
from ssl import SSLError

from urllib3 import exceptions

from outboxctl.domain.failures import Answer
from outboxctl.domain.redaction import cut
from outboxctl.sink.transport.bounded import RefusedAnswerError
from outboxctl.sink.transport.tls import FOREIGN, Peer, explained

NO_ANSWER = "no answer in the time that the request may take"
# The first that fits: subclasses come before their base. urllib3's is of a body that ends too early.
ENDS: dict[type[BaseException], str] = {
    RemoteDisconnected: "the sink closed the connection before it answered",
    ConnectionResetError: "the sink reset the connection before it answered",
    exceptions.ProtocolError: "the sink closed the connection in the middle of its answer",
    HTTPException: "the answer is not HTTP",
}


def explain(error: Exception, peer: Peer, *, reached: bool, late: bool) -> Answer:
    """The Answer for what a connection raised. `reached`: the server was; `late`: the deadline has passed."""
    if isinstance(error, RefusedAnswerError):
        return Answer(0, error.kind, str(error), request=True)
    if not isinstance(error, OSError | HTTPException | exceptions.HTTPError):
        return Answer(0, "client", type(error).__name__, request=True)  # its text may hold a secret
    kind = _kind(error, reached=reached, late=late)
    if kind in {"tls", "reset"} and (text := explained(error, peer, certain=kind == "tls")):
        return Answer(0, "tls", cut(text, 500), request=True, own_text=not text.startswith(FOREIGN))
    return Answer(0, kind, cut(_text(kind, error, peer), 500), request=True)


def _kind(error: Exception, *, reached: bool, late: bool) -> str:
    if not reached:
        return "connect"
    if late or isinstance(error, TimeoutError | exceptions.TimeoutError):
        return "timeout"
    if isinstance(error, SSLError | exceptions.SSLError):
        return "tls"
    # Before any answer: what a size limit can look like.
    return "reset" if isinstance(error, ConnectionError) else "connection_lost"


def _text(kind: str, error: Exception, peer: Peer) -> str:
    if kind == "timeout":
        return NO_ANSWER
    if kind == "connect":
        return _unreachable(error, peer)
    return next((text for end, text in ENDS.items() if isinstance(error, end)), str(error))


def _unreachable(error: Exception, peer: Peer) -> str:
    where = f"{peer.host}:{peer.port}"
    reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    if isinstance(error, socket.gaierror):
        return f"the name {peer.host} cannot be resolved: {reason}"
    if isinstance(error, ConnectionRefusedError):
        return f"{where} refused the connection"
    if isinstance(error, TimeoutError):
        return f"{where} did not accept the connection in time"
    return f"{where} cannot be reached: {reason}"

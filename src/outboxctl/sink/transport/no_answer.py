"""Why a request got no answer, in words for somebody on call instead of Python's."""

from http.client import HTTPException, IncompleteRead, RemoteDisconnected
from ssl import SSLContext
from typing import NamedTuple

from urllib3.exceptions import NameResolutionError, NewConnectionError

NO_ANSWER = "no answer in the time that the request may take"
CUT = "the sink closed the connection in the middle of its answer"
# Of what ended the connection, the first that fits: subclasses come before their base.
ENDS: dict[type[BaseException], str] = {
    RemoteDisconnected: "the sink closed the connection before it answered",
    ConnectionResetError: "the sink reset the connection before it answered",
    BrokenPipeError: "the sink closed the connection while the request was being sent",
    IncompleteRead: CUT,
    HTTPException: "the answer is not HTTP",
}


class Peer(NamedTuple):
    """The server that a request goes to; `context` None: not by TLS, or with the client's own."""

    host: str
    port: int
    secure: bool
    context: SSLContext | None


def in_words(kind: str, cause: BaseException | None, peer: Peer | None) -> str:
    """The text of an Answer of this `kind`, from urllib3's error; "" where there are no better words."""
    if kind == "timeout":
        return NO_ANSWER
    if kind == "connect":
        return _unreachable(cause, peer)
    chain = _chain(cause)
    return next((text for end, text in ENDS.items() if any(isinstance(e, end) for e in chain)), "")


def _unreachable(cause: BaseException | None, peer: Peer | None) -> str:
    host, where = (peer.host, f"{peer.host}:{peer.port}") if peer else ("the sink", "the sink")
    why = cause.__cause__ if cause else None
    reason = why.strerror if isinstance(why, OSError) and why.strerror else str(why or cause)
    if isinstance(cause, NameResolutionError):
        return f"the name {host} cannot be resolved: {reason}"
    if isinstance(why, ConnectionRefusedError):
        return f"{where} refused the connection"
    if isinstance(cause, NewConnectionError):
        return f"{where} cannot be reached: {reason}"
    return f"{where} did not accept the connection in time"


def _chain(error: BaseException | None) -> list[BaseException]:
    """The error and what caused it: urllib3 has it among the arguments of its own."""
    found: list[BaseException] = []
    while error is not None and error not in found:
        found.append(error)
        inner = [argument for argument in error.args if isinstance(argument, BaseException)]
        error = inner[0] if inner else error.__cause__
    return found

"""TLS on the way to the sink: whom we trust, what we show, and what was wrong where it failed."""

import socket
import ssl
from contextlib import suppress
from time import monotonic

from outboxctl.domain.errors import UntrustedError
from outboxctl.net.certificates import SINK, explain_certificates
from outboxctl.sink.transport.no_answer import Peer

PROBE_SECONDS = 0.5  # for a handshake, where something is wrong already
ALERT_SECONDS = 0.2  # a server of TLS 1.3 looks at our certificate after the handshake
REMEMBERED = 60.0  # seconds that a look holds good: not each of a thousand resets gets one
SPEAKS_TLS = "speaks TLS"
SEPARATOR = "; "
NOT_OURS = "the handshake failed: "  # what follows are the words of a library

_looks: dict[tuple[str, int], tuple[float, str]] = {}


def explained(error: BaseException, peer: Peer | None, *, certain: bool) -> str | None:
    """What is wrong, and what to set; None for an end of the connection that has nothing to do with TLS.

    `certain`: it has. A server that refuses our certificate, or plain HTTP, may just hang up, so then it is
    looked at once more.
    """
    found = explain_certificates(error, SINK) if certain else None
    if not found and peer:
        found = explain_certificates(_look(peer), SINK)
    if found:
        return SEPARATOR.join(found)
    return f"{NOT_OURS}{error}{SEPARATOR}look into the server's log" if certain else None


def untrusted(text: str, where: str = "") -> UntrustedError:
    """The error for what `explained` said."""
    what, _, mend = text.partition(SEPARATOR)
    return UntrustedError(where + what, hint=mend)


def _look(peer: Peer) -> str:
    address = (peer.host, peer.port)
    when, seen = _looks.get(address, (-REMEMBERED, ""))
    if monotonic() - when >= REMEMBERED:
        seen = _shake(address, peer)
        _looks[address] = (monotonic(), seen)
    return seen


def _shake(address: tuple[str, int], peer: Peer) -> str:
    """What a handshake of our own says: the error's text, or that there was one where none is meant to be."""
    secure = peer.secure
    context = peer.context or _careless()  # whether we trust it, the client has found out already
    with suppress(OSError), socket.create_connection(address, PROBE_SECONDS) as raw:
        try:
            with context.wrap_socket(raw, server_hostname=peer.host) as shaken:
                shaken.settimeout(ALERT_SECONDS)
                if secure:
                    shaken.recv(1)
        except ssl.SSLError as error:
            return str(error) if secure else SPEAKS_TLS * ("ALERT" in str(error))
        return "" if secure else SPEAKS_TLS
    return ""


def _careless() -> ssl.SSLContext:
    """Nothing is sent through it, so it need not know to whom."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context

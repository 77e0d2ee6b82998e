"""TLS to the sink: the pinned certificate, and what is wrong where a connection fails."""

import _ssl
import socket
import ssl
import sys
from contextlib import suppress
from hashlib import sha256
from time import monotonic
from typing import Any, NamedTuple

from outboxctl.domain.errors import UntrustedError
from outboxctl.net.certificates import SINK, explain_certificates

PROBE_SECONDS = 0.5  # for a handshake, where something is wrong already
ALERT_SECONDS = 0.2  # a server of TLS 1.3 looks at our certificate after the handshake
REMEMBERED = 60.0  # seconds that the result of a probe is used again: not each of a thousand resets gets one
SPEAKS_TLS = "speaks TLS"
SEPARATOR = "; "
FOREIGN = "the handshake failed: "  # what follows is the text of a library

_probes: dict[tuple[str, int], tuple[float, str]] = {}


class Peer(NamedTuple):
    """The server that a request goes to; `fingerprint` is the SHA-256 that its certificate must have."""

    host: str
    port: int
    secure: bool
    context: ssl.SSLContext | None
    fingerprint: str | None = None


def check_fingerprint(connected: Any, fingerprint: str | None) -> None:
    """ssl.SSLError unless a certificate of the server's chain has this SHA-256; None is any."""
    if fingerprint and fingerprint not in {sha256(der).hexdigest() for der in _chain(connected)}:
        raise ssl.SSLError("the server's certificate has another fingerprint")


def _chain(connected: Any) -> list[bytes]:
    """The certificates of a connected `SSLSocket`, from the server's own to its CA's."""
    if sys.version_info >= (3, 13):
        return list(connected.get_verified_chain())
    # Python has a public method for it since 3.13 alone.
    return [each.public_bytes(_ssl.ENCODING_DER) for each in connected._sslobj.get_verified_chain()]


def explained(error: BaseException, peer: Peer | None, *, certain: bool) -> str | None:
    """What is wrong, and what to set; None for an end of the connection that has nothing to do with TLS.

    `certain`: it has. A server that refuses our certificate, or plain HTTP, may just close the connection:
    then a handshake of our own shows it.
    """
    finding = explain_certificates(error, SINK) if certain else None
    if not finding and peer:
        finding = explain_certificates(_probe(peer), SINK)
    if finding:
        return SEPARATOR.join(finding)
    return f"{FOREIGN}{error}{SEPARATOR}look into the server's log" if certain else None


def untrusted(text: str, where: str = "") -> UntrustedError:
    """The error for a text of `explained`."""
    what, _, mend = text.partition(SEPARATOR)
    return UntrustedError(where + what, hint=mend)


def _probe(peer: Peer) -> str:
    address = (peer.host, peer.port)
    probed_at, text = _probes.get(address, (-REMEMBERED, ""))
    if monotonic() - probed_at >= REMEMBERED:
        text = _shake_hands(address, peer)
        _probes[address] = (monotonic(), text)
    return text


def _shake_hands(address: tuple[str, int], peer: Peer) -> str:
    """The error of a handshake, or that there was one where the URL says http; else nothing."""
    secure = peer.secure
    context = peer.context or _unverified()  # whether we trust it, the client has found out already
    with suppress(OSError), socket.create_connection(address, PROBE_SECONDS) as raw:
        try:
            with context.wrap_socket(raw, server_hostname=peer.host) as connected:
                connected.settimeout(ALERT_SECONDS)
                if secure:
                    connected.recv(1)
        except ssl.SSLError as error:
            return str(error) if secure else SPEAKS_TLS * ("ALERT" in str(error))
        return "" if secure else SPEAKS_TLS
    return ""


def _unverified() -> ssl.SSLContext:
    """For a connection that nothing is sent through."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context

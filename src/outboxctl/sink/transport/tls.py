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
from outboxctl.net.certificates import SINK, Files, explain_certificates

PROBE_SECONDS = 0.5  # for a handshake, where something is wrong already
ALERT_SECONDS = 0.2  # a server of TLS 1.3 looks at our certificate after the handshake
REMEMBERED = 60.0  # seconds that the result of a probe is used again: not each of a thousand resets gets one
SPEAKS_TLS = "speaks TLS"
SEPARATOR = "; "
FOREIGN = "the handshake failed: "  # what follows is the text of a library

_probes: dict[tuple[str, int], tuple[float, str]] = {}


class Pin:
    """The SHA-256, in hex, of the server's certificate or of the CA that has signed it.

    Nothing else is looked at, so `context` verifies nothing, until a server has shown the CA. From then on
    that CA must have signed: anybody can send a CA's certificate along. Safe to use from several threads.
    """

    def __init__(self, fingerprint: str, files: Files) -> None:
        self._fingerprint, self._files = fingerprint, files
        self.context = files.context()
        self.context.check_hostname, self.context.verify_mode = False, ssl.CERT_NONE

    def proven(self, connected: Any) -> bool:
        """Whether the server at this `SSLSocket` has proven it; False: not before a new handshake.

        ssl.SSLError where its certificates have other fingerprints.
        """
        own = connected.getpeercert(binary_form=True) or b""
        if self._fits(own) or connected.context.verify_mode is ssl.CERT_REQUIRED:
            return True
        authority = next(filter(self._fits, _chain(connected)), None)
        if authority is None:
            raise ssl.SSLError("the server's certificate has another fingerprint")
        context = self._files.context(authority)
        context.check_hostname = False
        context.verify_flags = ssl.VERIFY_X509_PARTIAL_CHAIN  # it may be an intermediate CA
        self.context = context
        return False

    def _fits(self, certificate: bytes) -> bool:
        return sha256(certificate).hexdigest() == self._fingerprint


class Peer(NamedTuple):
    """The server that a request goes to; `context` None: not by TLS, or with that of the `pin`."""

    host: str
    port: int
    secure: bool
    context: ssl.SSLContext | None
    pin: Pin | None = None


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

"""urllib3's connections, each held to the time of the request that it carries."""

import _ssl
import socket
import ssl
import sys
from contextvars import ContextVar
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from urllib3.connection import HTTPConnection, HTTPSConnection

from outboxctl.domain.clock import monotonic
from outboxctl.net.certificates import Files
from outboxctl.net.deadline import Watch

LEAST = 0.01  # seconds to connect, where hardly any are left


@dataclass
class Attempt:
    """A request to a node, and how far it has come.

    `node` is the node's URL. `watch` shuts the socket after `seconds`, of which `connecting` are for a
    connection. `sent`: the server may have something of it. `status`: of the answer, once that has begun.
    `silent`: no answer came in a while. `answered`: the node has answered before.
    """

    node: str
    asked: str
    seconds: float
    connecting: float
    answered: bool
    watch: Watch
    sent: bool = False
    silent: bool = False
    status: int | None = None


# urllib3 chooses the connection of a request by itself, in the thread of that request.
UNDER_WAY: ContextVar[Attempt] = ContextVar("UNDER_WAY")


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
        """Whether the server at this `SSLSocket` has proven it; else after a new handshake. SSLError."""
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


def _chain(connected: Any) -> list[bytes]:
    """The certificates of a connected `SSLSocket`, from the server's own to its CA's."""
    if sys.version_info >= (3, 13):
        return list(connected.get_verified_chain())
    # Python has a public method for it since 3.13 alone.
    return [each.public_bytes(_ssl.ENCODING_DER) for each in connected._sslobj.get_verified_chain()]


class PlainConnection(HTTPConnection):
    """A connection that ends with its attempt: also while it connects, sends, or gets a byte at a time."""

    def connect(self) -> None:
        """Connect; each address of the name gets a share of the time for it."""
        addresses = socket.getaddrinfo(self.host, self.port, type=socket.SOCK_STREAM)
        self.timeout = max(LEAST, UNDER_WAY.get().connecting / len(addresses))
        super().connect()

    def send(self, data: Any) -> None:
        """Send a part of the request, unless its time is over: the machine may have been suspended."""
        if self.sock is None:
            self.connect()
        attempt = UNDER_WAY.get()
        left = attempt.watch.deadline - monotonic()
        if attempt.watch.expired or left <= 0:
            attempt.watch.expired = True
            raise TimeoutError
        attempt.watch.descriptor = self.sock.fileno  # of this object: a connection forgets it while one reads
        self.sock.settimeout(left)
        attempt.sent = True
        super().send(data)


class TlsConnection(PlainConnection, HTTPSConnection):
    """The same over TLS; with `pin`, whose contexts take the place of urllib3's own checks."""

    def __init__(self, *args: Any, pin: Pin | None = None, **more: Any) -> None:
        super().__init__(*args, **more)
        self.pin = pin

    def connect(self) -> None:
        """Connect, and shake hands; ssl.SSLError where one side does not trust the other."""
        self._shake_hands()
        if self.pin and not self.pin.proven(self.sock):
            self.close()
            self._shake_hands()
        self.is_verified = True

    def _shake_hands(self) -> None:
        if self.pin:
            self.ssl_context = self.pin.context
            self.cert_reqs, self.assert_hostname = self.ssl_context.verify_mode, False
        super().connect()

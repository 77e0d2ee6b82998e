"""TLS to the sink: the pinned certificate."""

import _ssl
import ssl
import sys
from hashlib import sha256
from typing import Any

from outboxctl.net.certificates import Files


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


def _chain(connected: Any) -> list[bytes]:
    """The certificates of a connected `SSLSocket`, from the server's own to its CA's."""
    if sys.version_info >= (3, 13):
        return list(connected.get_verified_chain())
    # Python has a public method for it since 3.13 alone.
    return [each.public_bytes(_ssl.ENCODING_DER) for each in connected._sslobj.get_verified_chain()]

"""Certificates of both ends: read before anything is sent, and what went wrong with them in one line."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from outboxctl.domain.errors import UsageError
from outboxctl.domain.printable import brief

if TYPE_CHECKING:
    from ssl import SSLContext

# Of the texts of OpenSSL (https://docs.openssl.org/3.0/man1/openssl-verification-options/#diagnostics and
# RFC 8446, 6.2 for what the other side says), libpq and urllib3, the first that occurs says what is wrong
# and what fixes it. What a peer says of us comes before what we say of the peer: they share words.
TABLE = (
    (
        ("alert certificate required", "requires a valid client certificate"),
        "the server wants a client certificate",
        "set {pair}",
    ),
    (
        ("alert handshake failure",),
        "the server ended the handshake: it wants a client certificate, or other ciphers",
        "set {pair}",
    ),
    (
        ("alert unknown ca",),
        "the server does not trust the CA of our client certificate",
        "set {cert} to a certificate of a CA that the server knows",
    ),
    (
        ("alert certificate expired",),
        "the server says that our client certificate has expired",
        "renew the file that {cert} names",
    ),
    (
        ("alert bad certificate", "alert certificate unknown", "alert unsupported certificate"),
        "the server refuses our client certificate",
        "set {cert} to one that it takes",
    ),
    (
        ("alert certificate revoked",),
        "the server says that our client certificate is revoked",
        "set {cert} to a new one",
    ),
    (
        ("certificate authentication failed",),
        "the server takes our client certificate for somebody else's",
        "use the user that it names, or set {cert}",
    ),
    (
        ("certificate has expired",),
        "the server's certificate has expired",
        "renew it there, or set this machine's clock right",
    ),
    (
        ("not yet valid",),
        "the server's certificate is not valid yet",
        "set the clock of this machine or of the one that issued it right",
    ),
    (
        ("hostname mismatch", "ip address mismatch", "doesn't match", "does not match host name"),
        "the server's certificate is for another host name",
        "set {url} to a name that the certificate holds",
    ),
    (
        ("self-signed certificate in", "self signed certificate in"),
        "the server's certificate comes from a CA that we do not trust",
        "set {ca} to the PEM file of that CA",
    ),
    (
        ("self-signed certificate", "self signed certificate"),
        "the server's certificate is self-signed",
        "set {ca} to its PEM file",
    ),
    (
        ("unable to get", "unable to verify", "certificate verify failed"),
        "the server's certificate comes from a CA that we do not trust",
        "set {ca} to the PEM file of the CA that signed it",
    ),
    (
        ("fingerprint",),
        "the server's certificate has another fingerprint",
        "set ELASTIC_FINGERPRINT to that of the server's certificate or CA, if it was changed on purpose",
    ),
    (
        ("does not support ssl", "wrong version number", "record layer failure", "http request"),
        "the server speaks no TLS at this port",
        "{plain}",
    ),
    (("speaks tls",), "the server speaks only TLS at this port", "set {url} to https://"),
    (
        ("protocol version", "unsupported protocol", "no protocols available"),
        "the server speaks only old TLS",
        "let it speak TLS 1.2 or 1.3",
    ),
    (
        ("group or world access",),
        "others may read the file of our private key",
        "chmod 600 the file that {key} names",
    ),
    (
        ("no encryption", "ssl off"),
        "the server refuses connections without TLS, or this user",
        "set {url} to one with sslmode=verify-full",
    ),
)


@dataclass(frozen=True)
class CertificateSettings:
    """What the settings of one end are called; `pair`: `cert` and `key`, `plain`: how to do without TLS."""

    url: str
    ca: str
    cert: str
    key: str
    pair: str
    plain: str


SINK = CertificateSettings(
    "ELASTIC_URL",
    "ELASTIC_CA_CERTS",
    "ELASTIC_CLIENT_CERT",
    "ELASTIC_CLIENT_KEY",
    "ELASTIC_CLIENT_CERT and ELASTIC_CLIENT_KEY",
    "set ELASTIC_URL to http://, or switch TLS on there",
)
DATABASE = CertificateSettings(
    "DATABASE_URL",
    "sslrootcert in DATABASE_URL",
    "sslcert in DATABASE_URL",
    "sslkey in DATABASE_URL",
    "sslcert and sslkey in DATABASE_URL",
    "switch ssl on there, or set DATABASE_URL to one without sslmode",
)


@dataclass(frozen=True)
class Files:
    """PEM files: of the CAs to trust, of our own certificate and of its key, which may be in one with it."""

    names: CertificateSettings
    ca: str | None = None
    cert: str | None = None
    key: str | None = None
    password: str = ""

    def __bool__(self) -> bool:
        return bool(self.ca or self.cert or self.key)

    def context(self, authority: bytes | None = None) -> "SSLContext":
        """For a client that trusts only these CAs, or that one (DER); the system's where there is none.

        UsageError, naming the setting and its file, for what cannot be read or does not belong together.
        """
        import ssl  # noqa: PLC0415 - takes a moment, and http does without

        context = ssl.create_default_context(cafile=self._trusted(), cadata=authority)
        if self.key and not self.cert:
            raise UsageError(f"{self.names.key} is set and {self.names.cert} is not", hint="set both")
        if self.cert:
            self._check_pair(self.cert, self.key or self.cert)
            try:
                context.load_cert_chain(self.cert, self.key, password=lambda: self.password)
            except (ssl.SSLError, ValueError) as error:
                raise self._no_pair(error) from None
        return context

    def _trusted(self) -> str | None:
        import ssl  # noqa: PLC0415 - as above

        if self.ca:
            _pem(self.names.ca, self.ca, "CERTIFICATE-----")
            try:
                ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(self.ca)
            except (ssl.SSLError, ValueError):
                raise _bad(self.names.ca, self.ca, "its certificate is damaged") from None
        return self.ca

    def _check_pair(self, cert: str, key: str) -> None:
        _pem(self.names.cert, cert, "CERTIFICATE-----")
        text = _pem(self.names.key, key, "PRIVATE KEY-----")
        if not self.password and ("BEGIN ENCRYPTED" in text or "Proc-Type: 4,ENCRYPTED" in text):
            raise _bad(self.names.key, key, "the key is encrypted", "openssl pkey -in … -out … decrypts it")

    def _no_pair(self, error: Exception) -> UsageError:
        if "KEY_VALUES_MISMATCH" in str(error):
            why = f"it is not the key of the certificate {brief(self.cert, 200)}"
        else:
            why = "it cannot be used with its certificate: one is damaged, or the password is wrong"
        return _bad(self.names.key, str(self.key or self.cert), why)


def explain_certificates(error: object, names: CertificateSettings) -> tuple[str, str] | None:
    """What is wrong with the certificates, and what fixes it; None for a text that says nothing of them."""
    text = str(error).lower()
    for signs, what, mend in TABLE:
        if any(sign in text for sign in signs):
            return what, mend.format(**vars(names))
    return None


def _pem(name: str, path: str, wanted: str) -> str:
    """The text of a file that holds such a block. UsageError."""
    try:
        if Path(path).is_dir():
            raise _bad(name, path, "it is a directory")
        text = Path(path).read_bytes().decode(errors="replace")
    except (OSError, ValueError) as error:
        raise _bad(name, path, getattr(error, "strerror", None) or str(error)) from None
    if wanted not in text:
        what = wanted.rstrip("-").lower()
        raise _bad(name, path, f"it holds no {what} in PEM form", "PEM begins with -----BEGIN")
    return text


def _bad(name: str, path: str, why: str, hint: str = "") -> UsageError:
    return UsageError(f"bad setting {name}: {brief(path, 200)}: {why}", hint=hint)


def others_may_read(path: str) -> bool:
    """Whether libpq would refuse this file as that of a private key (`fe-secure-openssl.c`)."""
    status = os.stat(path)
    return bool(status.st_mode & (0o027 if status.st_uid == 0 else 0o077))

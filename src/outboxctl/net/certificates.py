"""Certificates of both ends, read before anything is sent."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from outboxctl.domain.errors import UsageError
from outboxctl.domain.printable import brief

if TYPE_CHECKING:
    from ssl import SSLContext


@dataclass(frozen=True)
class CertificateSettings:
    """What the settings of one end are called; `hint`: what to look at where TLS fails."""

    ca: str
    cert: str
    key: str
    hint: str


SINK = CertificateSettings(
    "ELASTIC_CA_CERTS",
    "ELASTIC_CLIENT_CERT",
    "ELASTIC_CLIENT_KEY",
    "check ELASTIC_URL (https, and the name in the certificate), ELASTIC_CA_CERTS, ELASTIC_CLIENT_CERT, and "
    "the clocks",
)
DATABASE = CertificateSettings(
    "sslrootcert in DATABASE_URL",
    "sslcert in DATABASE_URL",
    "sslkey in DATABASE_URL",
    "check sslmode, sslrootcert, sslcert and sslkey in DATABASE_URL, the host's name, and the clocks",
)


UNUSABLE = "a file is damaged, the key is of another certificate, or its password is wrong"


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

    def context(self) -> "SSLContext":
        """For a client that trusts only these CAs; else the system's. UsageError."""
        import ssl  # noqa: PLC0415 - takes a moment, and http does without

        if self.key and not self.cert:
            raise UsageError(f"{self.names.key} is set and {self.names.cert} is not", hint="set both")
        name, path = self.names.ca, self.ca
        if path:
            _pem(name, path, "CERTIFICATE-----")
        try:
            context = ssl.create_default_context(cafile=path)
            if self.cert:
                name, path = self.names.key, self.key or self.cert
                self._check_pair(self.cert, path)
                context.load_cert_chain(self.cert, self.key, password=lambda: self.password)
        except (ssl.SSLError, ValueError) as error:
            raise _bad(name, str(path), f"OpenSSL says {error}", UNUSABLE) from None
        return context

    def _check_pair(self, cert: str, key: str) -> None:
        _pem(self.names.cert, cert, "CERTIFICATE-----")
        text = _pem(self.names.key, key, "PRIVATE KEY-----")
        if not self.password and ("BEGIN ENCRYPTED" in text or "Proc-Type: 4,ENCRYPTED" in text):
            raise _bad(self.names.key, key, "the key is encrypted", "openssl pkey -in … -out … decrypts it")


def _pem(name: str, path: str, wanted: str) -> str:
    """The text of a file that holds such a block. UsageError."""
    try:
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

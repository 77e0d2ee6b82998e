"""TLS to PostgreSQL: its files are checked before connecting, and a failure is explained.

libpq reports only "certificate verify failed"; a handshake of our own has the reason.
"""

import os
import re
import socket
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from outboxctl.domain.errors import UntrustedError, UsageError
from outboxctl.net.certificates import DATABASE, Files, explain_certificates, others_may_read

SSL_REQUEST = b"\x00\x00\x00\x08\x04\xd2\x16\x2f"  # "SSLRequest" of the protocol: length 8, code 80877103
SECONDS = 2.0
VAGUE = "certificate verify failed"
NAMES = re.compile('"[^"]*"')  # a user, a database or a host may have any name, `fingerprint` too
OPTIONS = {"sslrootcert": "PGSSLROOTCERT", "sslcert": "PGSSLCERT", "sslkey": "PGSSLKEY"}


def check(parameters: Mapping[str, Any]) -> None:
    """Read the files that a connection's parameters name. UsageError for what libpq would refuse.

    The defaults in `~/.postgresql` are not checked.
    """
    files = _files(parameters)
    if files:
        files.context()
    if files.key and others_may_read(files.key):
        why = "others may read it, and libpq refuses that"
        raise UsageError(f"bad setting {DATABASE.key}: {files.key}: {why}", hint=f"chmod 600 {files.key}")


def explained(error: Exception, parameters: Mapping[str, Any], where: str) -> UntrustedError | None:
    """The error for a connection that failed because of certificates; None for any other reason."""
    explanation = explain_certificates(NAMES.sub("", str(error)), DATABASE)
    if explanation and VAGUE in str(error):
        explanation = explain_certificates(_handshake(parameters), DATABASE) or explanation
    if not explanation:
        return None
    what, hint = explanation
    message = f"the database {where} cannot be used (tls): {what}"
    return UntrustedError(message, hint=hint, public=f"tls: {what}; {hint}")


def _files(parameters: Mapping[str, Any]) -> Files:
    ca, cert, key = (str(parameters.get(name) or os.environ.get(env) or "") for name, env in OPTIONS.items())
    if not (cert and key):  # libpq takes the other one from ~/.postgresql
        cert = key = ""
    password = str(parameters.get("sslpassword") or "")
    return Files(DATABASE, ca if ca != "system" else None, cert or None, key or None, password)


def _handshake(parameters: Mapping[str, Any]) -> str:
    """The error of a handshake with the first server of the parameters; empty where there is none."""
    import ssl  # noqa: PLC0415 - takes a moment, and only a failure needs it

    host, numeric, port = (
        str(parameters.get(name) or "").partition(",")[0] for name in ("host", "hostaddr", "port")
    )
    address = (numeric or host, int(port or 5432))
    with suppress(OSError, UsageError), socket.create_connection(address, SECONDS) as raw:
        raw.sendall(SSL_REQUEST)
        if raw.recv(1) == b"S":
            try:
                _files(parameters).context().wrap_socket(raw, server_hostname=host).close()
            except ssl.SSLError as error:
                return str(error)
    return ""

"""TLS on the way to PostgreSQL: its files read before connecting, and what was wrong where it failed.

libpq says only "certificate verify failed"; a handshake of our own says why.
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
NAMES = re.compile('"[^"]*"')  # a user, a database or a host may be called anything, `fingerprint` too
OPTIONS = {"sslrootcert": "PGSSLROOTCERT", "sslcert": "PGSSLCERT", "sslkey": "PGSSLKEY"}


def check(given: Mapping[str, Any]) -> None:
    """Read the files that a connection's parameters name. UsageError for what libpq would not take.

    Those that libpq finds by itself in `~/.postgresql` are left to it.
    """
    files = _files(given)
    if files:
        files.context()
    if files.key and others_may_read(files.key):
        why = "others may read it, and libpq refuses that"
        raise UsageError(f"bad setting {DATABASE.key}: {files.key}: {why}", hint=f"chmod 600 {files.key}")


def explained(error: Exception, given: Mapping[str, Any], where: str) -> UntrustedError | None:
    """The error for a connection that failed because of certificates; None for any other reason."""
    found = explain_certificates(NAMES.sub("", str(error)), DATABASE)
    if found and VAGUE in str(error):
        found = explain_certificates(_handshake(given), DATABASE) or found
    if not found:
        return None
    what = f"the database {where} cannot be used (tls): {found[0]}"
    return UntrustedError(what, hint=found[1], public=f"tls: {'; '.join(found)}")


def _files(given: Mapping[str, Any]) -> Files:
    ca, cert, key = (str(given.get(name) or os.environ.get(env) or "") for name, env in OPTIONS.items())
    if not (cert and key):  # libpq looks for the other one at home
        cert = key = ""
    password = str(given.get("sslpassword") or "")
    return Files(DATABASE, ca if ca != "system" else None, cert or None, key or None, password)


def _handshake(given: Mapping[str, Any]) -> str:
    """What a handshake with the first server of the parameters fails with; nothing where it does not."""
    import ssl  # noqa: PLC0415 - takes a moment, and only a failure needs it

    host, numeric, port = (
        str(given.get(name) or "").partition(",")[0] for name in ("host", "hostaddr", "port")
    )
    address = (numeric or host, int(port or 5432))
    with suppress(OSError, UsageError), socket.create_connection(address, SECONDS) as raw:
        raw.sendall(SSL_REQUEST)
        if raw.recv(1) == b"S":
            try:
                _files(given).context().wrap_socket(raw, server_hostname=host).close()
            except ssl.SSLError as error:
                return str(error)
    return ""

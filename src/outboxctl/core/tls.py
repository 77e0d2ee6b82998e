"""TLS to PostgreSQL: its files are checked before connecting, and a failure names the settings for it."""

import os
import re
from collections.abc import Mapping
from typing import Any

from outboxctl.domain.errors import UntrustedError, UsageError
from outboxctl.domain.printable import brief
from outboxctl.net.certificates import DATABASE, Files, others_may_read

NAMES = re.compile('"[^"]*"')  # a user, a database or a host may have any name, `SSL` too
OF_TLS = re.compile(r"\bSSL\b|certificate|private key file|no encryption")  # in the texts of libpq
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


def explained(error: Exception, where: str) -> UntrustedError | None:
    """The error for a connection that failed because of TLS; None for any other reason."""
    text = str(error).strip().partition("\n")[0]
    if not OF_TLS.search(NAMES.sub("", text)):
        return None
    message = f"the database {where} cannot be used (tls): {brief(text, 300)}"
    return UntrustedError(message, hint=DATABASE.hint, public=f"tls: {DATABASE.hint}")


def _files(parameters: Mapping[str, Any]) -> Files:
    ca, cert, key = (str(parameters.get(name) or os.environ.get(env) or "") for name, env in OPTIONS.items())
    if not (cert and key):  # libpq takes the other one from ~/.postgresql
        cert = key = ""
    password = str(parameters.get("sslpassword") or "")
    return Files(DATABASE, ca if ca != "system" else None, cert or None, key or None, password)

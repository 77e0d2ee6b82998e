"""Opening one session at PostgreSQL: TLS files are checked, failures explained."""

import os
import re
from collections.abc import Mapping
from typing import Any

import psycopg

from outboxctl.core.conninfo import describe
from outboxctl.core.database_errors import NAMES
from outboxctl.domain.errors import UntrustedError, UsageError
from outboxctl.domain.printable import brief
from outboxctl.net.certificates import DATABASE, Files, others_may_read

OF_TLS = re.compile(r"\bSSL\b|certificate|private key file|no encryption")  # in the texts of libpq
OPTIONS = {"sslrootcert": "PGSSLROOTCERT", "sslcert": "PGSSLCERT", "sslkey": "PGSSLKEY"}
WAITING = {"on", "remote_write", "remote_apply"}  # of synchronous_commit: COMMIT waits for a standby, if any


def connected(values: Mapping[str, Any]) -> psycopg.Connection:
    """A session by libpq's parameters. Raises an error of psycopg, or UntrustedError."""
    try:
        # Nothing is prepared: the session may sit behind a pooler in transaction mode.
        return psycopg.connect(**values, prepare_threshold=None)
    except psycopg.OperationalError as error:
        raise tls_error(error, describe(values)) or error from None


def check_tls(parameters: Mapping[str, Any]) -> None:
    """Read the files that a connection's parameters name. UsageError for what libpq would refuse.

    The defaults in `~/.postgresql` are not checked.
    """
    files = _files(parameters)
    if files:
        files.context()
    if files.key and others_may_read(files.key):
        why = "others may read it, and libpq refuses that"
        raise UsageError(f"bad setting {DATABASE.key}: {files.key}: {why}", hint=f"chmod 600 {files.key}")


def tls_error(error: Exception, where: str) -> UntrustedError | None:
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


def commits_wait(session: psycopg.Connection) -> bool:
    """Whether a COMMIT of a session in autocommit waits for a synchronous standby, if there is one."""
    row = session.execute("SHOW synchronous_commit").fetchone()
    return bool(row and row[0] in WAITING)

"""Errors of PostgreSQL and libpq: for the user, and without names and texts of the server for the probes."""

import re

import psycopg
from sqlalchemy.exc import DBAPIError, PendingRollbackError, SQLAlchemyError

from outboxctl.domain.errors import (
    CutOffError,
    LimitError,
    LockedError,
    NotPermittedError,
    OutboxctlError,
    UnreachableError,
    UsageError,
)
from outboxctl.domain.printable import brief
from outboxctl.domain.redaction import redact

READ_ONLY = "25006"
NOT_FOUND = ("42P01", "3F000", "42883")  # no such table, schema or function on this connection's search path
CONNECTION_ERRORS = (psycopg.OperationalError, psycopg.InterfaceError, PendingRollbackError)
FAILED = (psycopg.Error, SQLAlchemyError)  # what a statement raises, the driver's own too
OUT_OF_MEMORY, ALLOCATION = "53200", "invalid memory alloc request"  # the latter has no SQLSTATE of its own
FUNCTION = re.compile(r"(PL/pgSQL|SQL) function .*?(?= line \d| statement \d|$)", re.M)
UNPINNED = (
    "it looks for names in schemas in which other roles may create objects, and these are not searched: "
    "ALTER FUNCTION … SET search_path = … gives it a path of its own (`outboxctl doctor` has the commands)"
)
UNUSABLE = "the database {name} cannot be used: {text}"
REACH = "check DATABASE_URL, and that the server runs (`outboxctl services up` starts a local one)"
LOGIN_REFUSED = "the login was refused: user, password or pg_hba.conf"
LOGIN = "check the user and password of DATABASE_URL or the file of DATABASE_URL_FILE, and pg_hba.conf"
# By SQLSTATE: the error, its message, what to do; for the probes a sentence without a name.
ERRORS: tuple[tuple[set[str], type[OutboxctlError], str, str, str], ...] = (
    (
        {"42P01", "42703", "3F000"},  # undefined table, undefined column, no schema
        UsageError,
        "the schema in {name} is missing or damaged: {text}",
        "run `outboxctl db upgrade`",
        "the schema is missing or damaged: run `outboxctl db upgrade`",
    ),
    (
        {"42501"},
        NotPermittedError,
        "not permitted in {name}: {text}",
        "use a role with the needed rights: `outboxctl roles --sql` has them",
        "a right is missing: see `outboxctl doctor`",
    ),
    (
        {"55P03", "40P01"},  # lock_timeout; a deadlock
        LockedError,
        "the database {name} did not give a lock: {text}",
        "a long transaction is in the way: try again once it has ended",
        "a lock was not given in time (lock timeout), or there was a deadlock",
    ),
    (
        {"54000", OUT_OF_MEMORY},  # a value of 1 GB
        LimitError,
        "the database {name} cannot do this: {state} {text}",
        "ask for less at once",
        "a value or a statement is too large for the server",
    ),
    # statement_timeout, or somebody cancelled the statement
    ({"57014"}, CutOffError, UNUSABLE, REACH, "a statement took too long, or was cancelled"),
    # idle_in_transaction_session_timeout, transaction_timeout
    (
        {"25P03", "25P04"},
        UnreachableError,
        UNUSABLE,
        REACH,
        "the server ended a transaction that took too long",
    ),
    ({READ_ONLY}, UnreachableError, UNUSABLE, REACH, "the server is read-only"),
)
NAMES = re.compile('"[^"]*"')  # a user or a database may have any name, `timeout` too
# Texts of libpq and the server (fe-connect.c, fe-misc.c, postmaster.c, auth.c in PostgreSQL's sources), which
# contain names of users and databases: the first row of which a part occurs has the sentence for the probes.
CAUSES = (
    (
        ("too many connections", "too many clients", "remaining connection slots", "no more connections"),
        "too many connections",
    ),
    (("password", "pg_hba.conf", "authentication", 'role "'), LOGIN_REFUSED),
    (("Connection refused",), "connection refused: no server listens there"),
    (
        ("could not translate host name", "Name or service not known", "name resolution"),
        "the host's name is not known",
    ),
    (("No route to host", "unreachable"), "no route to the host"),
    (("read-only", "read only", "hot standby"), "the server is read-only"),
    (
        ("starting up", "shutting down", "recovery", "terminating connection", "administrator command"),
        "the server starts, stops or recovers",
    ),
    (("No space left",), "the server's disk is full"),
    (("does not exist",), "there is no such database"),
    (("timeout", "timed out"), "no answer in time"),
    (("closed", "reset", "lost", "Broken pipe", "EOF", "bad"), "the connection was closed"),
)
UNKNOWN = "it cannot be used: the log says why"


def translate(error: Exception, name: str) -> OutboxctlError:
    """The user's view of a driver error: what failed, where, what to do; never the statement."""
    error = driver_error(error)
    text = brief(redact(str(error)).strip().partition("\n")[0], 300)
    state = OUT_OF_MEMORY if ALLOCATION in text else sqlstate(error)
    if state in NOT_FOUND and (function := _function(error)):
        return UsageError(f"{function} failed in {name}: {text}", hint=UNPINNED, public=UNPINNED)
    for states, kind, message, hint, public in ERRORS:
        if state in states:
            return kind(message.format(name=name, state=state, text=text), hint=hint, public=public)
    if isinstance(error, CONNECTION_ERRORS):
        cause = public_cause(text)
        hint = LOGIN if cause == LOGIN_REFUSED else REACH
        return UnreachableError(UNUSABLE.format(name=name, text=text), hint=hint, public=cause)
    return OutboxctlError(
        f"the database {name} refused: {state} {text}", public="the server refused a statement"
    )


def public_cause(text: str) -> str:
    """The sentence for a text of libpq or the server; a general one for any other text."""
    text = NAMES.sub('""', text)
    return next((cause for parts, cause in CAUSES if any(part in text for part in parts)), UNKNOWN)


def driver_error(error: Exception) -> Exception:
    """The driver's error behind one of SQLAlchemy's."""
    return error.orig if isinstance(error, DBAPIError) and isinstance(error.orig, Exception) else error


def sqlstate(error: Exception) -> str:
    """The SQLSTATE of a driver's error; empty where there is none."""
    return getattr(driver_error(error), "sqlstate", None) or ""


def _function(error: Exception) -> str:
    """The function that failed, where our statement called one (a trigger's); empty otherwise."""
    context = str(getattr(getattr(error, "diag", None), "context", None) or "")
    match = FUNCTION.search(context)
    return brief(match[0], 140) if match else ""

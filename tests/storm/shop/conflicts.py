"""Which errors of the application are its own doing."""

import re

import psycopg
from psycopg.errors import DeadlockDetected, ForeignKeyViolation, SerializationFailure, UniqueViolation

AGAIN = (DeadlockDetected, SerializationFailure)
REFUSED = (*AGAIN, ForeignKeyViolation, UniqueViolation)
PID = re.compile(r"[Pp]rocess (\d+)")


def foreign(error: psycopg.Error, sessions: set[int]) -> str:
    """Why sessions of the shop alone do not explain this error; empty if they do."""
    if not isinstance(error, REFUSED):
        return "by no conflict"
    if "outbox_" in f"{error.diag.context} {error.diag.table_name}":
        return "in the outbox"
    others = {int(pid) for pid in PID.findall(error.diag.message_detail or "")} - sessions
    return f"in a conflict with session {min(others)}" if others else ""

"""Errors that end a command, each with the exit code of the public contract.

A message is one line: what was wrong, where, and what to do. It never holds a secret that is known.
"""

from enum import IntEnum

from outboxctl.domain.redaction import redact


class ExitCode(IntEnum):
    """Exit codes, as scripts rely on them."""

    OK = 0
    UNEXPECTED = 1
    USAGE = 2
    UNREACHABLE = 3
    FINDINGS = 4
    INCONCLUSIVE = 5


class OutboxctlError(Exception):
    """Base of every error that is the user's to read; `hint` says what to do next.

    `public` says it in our own words only, without a name or a text of either end: for whoever may ask
    without a login.
    """

    exit_code = ExitCode.UNEXPECTED

    def __init__(self, message: str, *, hint: str = "", public: str = "") -> None:
        super().__init__(redact(message))
        self.hint, self.public = redact(hint), public


class UsageError(OutboxctlError):
    """A bad argument, setting or schema: nothing was done."""

    exit_code = ExitCode.USAGE


class UnreachableError(OutboxctlError):
    """A dependency (database, sink, service) could not be reached."""

    exit_code = ExitCode.UNREACHABLE


class UntrustedError(UnreachableError):
    """Somebody is there, and we cannot trust each other: a certificate is bad, or TLS is spoken one way."""


class LockedError(UnreachableError):
    """Somebody holds a lock that was not to be had in the time given."""


class CutOffError(UnreachableError):
    """A statement took longer than the time that it was given."""


class LimitError(OutboxctlError):
    """A statement needs more than the server can give: a value of 1 GB, or memory."""


class InconclusiveError(OutboxctlError):
    """What was looked at changed under the look: it is to be taken again."""

    exit_code = ExitCode.INCONCLUSIVE


class RefusedError(OutboxctlError):
    """An end answers, but not this question: a right is missing, or it does not know it."""

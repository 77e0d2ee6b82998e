"""Errors that end a command, each with its exit code; a message is one line without a known secret."""

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
    """Base of every error for the user; `hint` is what to do next, `block` are lines to paste for that.

    `public` is a sentence without any name or text of the database or the sink, for the probes, which need no
    login.
    """

    exit_code = ExitCode.UNEXPECTED

    def __init__(self, message: str, *, hint: str = "", public: str = "", block: str = "") -> None:
        super().__init__(redact(message))
        self.hint, self.public, self.block = redact(hint), public, redact(block)


class UsageError(OutboxctlError):
    """A bad argument, setting or schema: nothing was done."""

    exit_code = ExitCode.USAGE


class NotPermittedError(UsageError):
    """The login lacks a right in the database."""


class UnreachableError(OutboxctlError):
    """A dependency (database, sink, service) could not be reached."""

    exit_code = ExitCode.UNREACHABLE


class UntrustedError(UnreachableError):
    """A server answers, but TLS fails: a certificate is not accepted, or only one side uses TLS."""


class LockedError(UnreachableError):
    """A lock was not obtained in time."""


class CutOffError(UnreachableError):
    """A statement took longer than its limit."""


class LimitError(OutboxctlError):
    """A statement needs more than the server can give: a value of 1 GB, or memory."""


class InconclusiveError(OutboxctlError):
    """What was read changed meanwhile: the command must be repeated."""

    exit_code = ExitCode.INCONCLUSIVE


class ChangedError(InconclusiveError):
    """The declaration of a projection is not in force any more: it was applied anew, or dropped."""

    def __init__(self, name: str) -> None:
        super().__init__(
            f"the projection {name} was applied anew, or dropped, meanwhile", hint="run the same again"
        )


class RefusedError(OutboxctlError):
    """A server refuses one request: a right is missing, or it lacks the feature."""

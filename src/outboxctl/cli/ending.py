"""The message of an error that ends a command: every text is redacted before it is printed."""

import os
import sys
import threading
from contextlib import suppress
from io import StringIO
from traceback import format_exception
from typing import Any

from outboxctl.domain import redaction
from outboxctl.domain.errors import ExitCode
from outboxctl.domain.printable import brief, clean
from outboxctl.domain.redaction import redact


def print_error(message: str, hint: str) -> None:
    """Print an error and its hint in one line on stderr."""
    parts = [" ".join(redact(part).split()) for part in (message, hint) if part]
    _print_line("outboxctl: " + "; ".join(brief(part, 600) for part in parts))


def print_unexpected(error: Exception) -> int:
    """Print an error of a library, its traceback where OUTBOXCTL_DEBUG is set; returns the exit code."""
    _add_typed_secrets()
    if type(error).__name__ == "Abort":  # typer's: an answer to a question was refused
        _print_line("Aborted!")
        return ExitCode.UNEXPECTED
    if hasattr(error, "format_message"):  # typer's: the command line is wrong
        return _print_usage_error(error)
    if os.environ.get("OUTBOXCTL_DEBUG"):
        _print_line(_safe_lines("".join(format_exception(error))))
    else:
        hint = "set OUTBOXCTL_DEBUG=1 for the traceback"
        print_error(f"unexpected {type(error).__name__}: {error}", hint)
    return ExitCode.UNEXPECTED


def redact_thread_errors() -> None:
    """Python prints the traceback of a thread that ends in an error, and a library's text within it."""
    threading.excepthook = lambda args: _print_line(_safe_lines("".join(format_exception(args.exc_value))))


def _add_typed_secrets() -> None:
    """Before any setting was loaded nothing is known yet, and a URL at the wrong place is repeated."""
    for argument in sys.argv[1:]:
        if any(sign in argument for sign in ("://", "@", "=")):
            redaction.add_url(argument)
    with suppress(Exception):  # whatever is wrong with the settings is not what is to be said now
        from outboxctl.settings.loading import register_secrets

        register_secrets({})


def _print_usage_error(error: Any) -> int:
    """As typer says it. What was typed at the wrong place may be a URL, and hold anything."""
    said = StringIO()
    error.show(said)
    _print_line(_safe_lines(said.getvalue()))
    return int(error.exit_code)


def _safe_lines(text: str) -> str:
    """Redacted as a whole, then cleaned line by line: a secret may hold a line end."""
    return "\n".join(clean(line) for line in redact(text).splitlines())


def _print_line(text: str) -> None:
    print(text, file=sys.stderr)  # noqa: T201 - the one place for it

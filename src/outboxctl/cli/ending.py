"""How commands end: redacted error messages, and output whose reader has gone (`| head`)."""

import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from io import StringIO
from traceback import format_exception
from typing import Any

from outboxctl.domain import redaction
from outboxctl.domain.errors import ExitCode
from outboxctl.domain.printable import brief, clean
from outboxctl.domain.redaction import redact

INTERRUPTED = 130  # exit code after ^C
BEFORE_COMMAND = ("--database-url", "--elastic-url", "--elastic-index")


@contextmanager
def tolerate_closed_pipe() -> Iterator[None]:
    """Print an outcome; if its reader has gone, the command goes on to its exit code. A decorator, too."""
    try:
        yield
    except BrokenPipeError:
        discard_output()


def discard_output() -> None:
    """Send what is still to be printed nowhere: the reader has gone, and that is no error."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def print_error(message: str, hint: str, block: str = "") -> None:
    """Print an error and its hint in one line on stderr, and beneath it the lines to paste."""
    parts = [" ".join(redact(part).split()) for part in (message, hint) if part]
    _print_line("outboxctl: " + "; ".join(brief(part, 600) for part in parts))
    if block:
        _print_line("\n" + _safe_lines(block))


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
    """Redact the traceback that Python prints when a thread ends in an error."""
    threading.excepthook = lambda args: _print_line(_safe_lines("".join(format_exception(args.exc_value))))


def _add_typed_secrets() -> None:
    """Register secrets for redaction: those of settings that were not loaded yet, and of typed URLs."""
    for argument in sys.argv[1:]:
        if any(sign in argument for sign in ("://", "@", "=")):
            redaction.add_url(argument)
    with suppress(Exception):  # the error to print is another one than that of the settings
        from outboxctl.settings.loading import register_secrets
        from outboxctl.settings.sources import levels

        register_secrets({}, levels())


def _print_usage_error(error: Any) -> int:
    """Print typer's message; it repeats what was typed, which may be a URL with a password."""
    message = StringIO()
    error.show(message)
    _print_line(_safe_lines(message.getvalue()))
    if getattr(error, "option_name", "") in BEFORE_COMMAND:
        _print_line(f"{error.option_name} stands before the command: outboxctl {error.option_name} … COMMAND")
    return int(error.exit_code)


def _safe_lines(text: str) -> str:
    """Redacted as a whole, then cleaned line by line: a secret may hold a line end."""
    return "\n".join(clean(line) for line in redact(text).splitlines())


def _print_line(text: str) -> None:
    print(text, file=sys.stderr)  # noqa: T201 - the one place for it

"""What is said of an error that ends a command: no foreign text leaves without its secrets taken out."""

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


def complain(message: str, hint: str) -> None:
    """Say it in one line on stderr."""
    parts = [" ".join(redact(part).split()) for part in (message, hint) if part]
    _say("outboxctl: " + "; ".join(brief(part, 600) for part in parts))


def ended(error: Exception) -> int:
    """Say an error that is not ours, its traceback where that was asked for; returns the exit code."""
    _tell_what_was_typed()
    if type(error).__name__ == "Abort":  # typer's: an answer to a question was refused
        _say("Aborted!")
        return ExitCode.UNEXPECTED
    if hasattr(error, "format_message"):  # typer's: the command line is wrong
        return _misused(error)
    if os.environ.get("OUTBOXCTL_DEBUG"):
        _say(_harmless("".join(format_exception(error))))
    else:
        hint = "set OUTBOXCTL_DEBUG=1 for the traceback"
        complain(f"unexpected {type(error).__name__}: {error}", hint)
    return ExitCode.UNEXPECTED


def hide_in_threads() -> None:
    """Python prints the traceback of a thread that ends in an error, and a library's text within it."""
    threading.excepthook = lambda args: _say(_harmless("".join(format_exception(args.exc_value))))


def _tell_what_was_typed() -> None:
    """Before any setting was loaded nothing is known yet, and a URL at the wrong place is repeated."""
    for argument in sys.argv[1:]:
        if any(sign in argument for sign in ("://", "@", "=")):
            redaction.know_url(argument)
    with suppress(Exception):  # whatever is wrong with the settings is not what is to be said now
        from outboxctl.settings.secrecy import tell

        tell({})


def _misused(error: Any) -> int:
    """As typer says it. What was typed at the wrong place may be a URL, and hold anything."""
    said = StringIO()
    error.show(said)
    _say(_harmless(said.getvalue()))
    return int(error.exit_code)


def _harmless(text: str) -> str:
    """Redacted as a whole, then cleaned line by line: a secret may hold a line end."""
    return "\n".join(clean(line) for line in redact(text).splitlines())


def _say(text: str) -> None:
    print(text, file=sys.stderr)  # noqa: T201 - the one place for it

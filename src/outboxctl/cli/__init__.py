"""The commands: parse, call one use case, render. Heavy modules are imported inside the bodies.

Imports everything below.
"""

import os
import sys
from typing import NoReturn

from outboxctl.cli.closed_pipe import discard_output
from outboxctl.domain.errors import ExitCode, OutboxctlError
from outboxctl.domain.printable import brief


def main() -> NoReturn:
    """Run the command line; every error ends in one line on stderr and the contract's exit code."""
    try:
        from outboxctl.cli.app import app  # takes a moment, in which ^C may come

        _never_fail_to_print()
        app(prog_name="outboxctl")
    except OutboxctlError as error:
        _complain(str(error), error.hint)
        sys.exit(error.exit_code)
    except BrokenPipeError:
        discard_output()
        sys.exit(ExitCode.OK)
    except SystemExit as end:
        if not isinstance(end.__context__, BrokenPipeError):
            raise
        discard_output()  # typer makes exit code 1 of a write to a reader that has gone
        sys.exit(ExitCode.OK)
    except KeyboardInterrupt:
        sys.exit(130)
    except Exception as error:
        if os.environ.get("OUTBOXCTL_DEBUG"):
            raise
        _complain(f"unexpected {type(error).__name__}: {error}", "set OUTBOXCTL_DEBUG=1 for the traceback")
        sys.exit(ExitCode.UNEXPECTED)
    sys.exit(ExitCode.OK)


def _complain(message: str, hint: str) -> None:
    parts = [" ".join(part.split()) for part in (message, hint) if part]
    line = "; ".join(brief(part, 600) for part in parts)
    print(f"outboxctl: {line}", file=sys.stderr)  # noqa: T201 - the one place for it


def _never_fail_to_print() -> None:
    """A terminal that cannot show a character gets an escape, not a traceback."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")

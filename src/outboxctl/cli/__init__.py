"""The commands: parse, call one use case, render; heavy modules are imported in the bodies. Imports all."""

import gc
import sys
from typing import NoReturn

from outboxctl.cli.ending import (
    INTERRUPTED,
    discard_output,
    print_error,
    print_unexpected,
    redact_thread_errors,
)
from outboxctl.domain.errors import ExitCode, OutboxctlError


def main() -> NoReturn:
    """Run the command line; each error ends in a line on stderr, and all in the contract's exit code."""
    # Nothing that is loaded is freed again: to collect it meanwhile is an eighth of the start of a command.
    gc.set_threshold(100_000, 20, 100)
    try:
        from outboxctl.cli.app import app  # takes a moment, in which ^C may come

        _never_fail_to_print()
        redact_thread_errors()
        sys.exit(app(prog_name="outboxctl", standalone_mode=False) or ExitCode.OK)  # None: it returned
    except OutboxctlError as error:
        print_error(str(error), error.hint, error.block)
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
        sys.exit(INTERRUPTED)
    except Exception as error:
        sys.exit(print_unexpected(error))


def _never_fail_to_print() -> None:
    """Print an escape where the terminal cannot show a character."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")

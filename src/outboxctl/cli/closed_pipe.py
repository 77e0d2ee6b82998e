"""Standard output whose reader has gone (`| head`): the command goes on to its exit code all the same."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def tolerate_closed_pipe() -> Iterator[None]:
    """Show an outcome: if its reader has gone (`| head`), the command goes on to its exit code all the same.

    A decorator, too.
    """
    try:
        yield
    except BrokenPipeError:
        discard_output()


def discard_output() -> None:
    """The reader has gone: nothing more can be said, and that is no error."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())

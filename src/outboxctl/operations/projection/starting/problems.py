"""Errors of one input that are found together, and reported at once."""

from collections.abc import Iterator
from contextlib import contextmanager

from outboxctl.domain.errors import ManyError, NotPermittedError, UsageError


class Problems:
    """The errors that were found so far."""

    def __init__(self) -> None:
        self.found: list[UsageError] = []

    @contextmanager
    def noted(self) -> Iterator[None]:
        """Note a UsageError of the block, and go on behind it."""
        try:
            yield
        except NotPermittedError:
            raise
        except ManyError as errors:
            self.found += errors.parts
        except UsageError as error:
            self.found.append(error)

    def check(self) -> None:
        """Raise UsageError where anything was noted: ManyError for more than one."""
        if self.found:
            raise self.error()

    def error(self) -> UsageError:
        """All that was noted, as one error."""
        return self.found[0] if len(self.found) == 1 else ManyError(self.found)

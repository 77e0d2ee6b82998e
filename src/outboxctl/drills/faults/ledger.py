"""The ledger: every fault under way is written down before it begins, so that somebody can undo it.

A fault with a holder is undone when its holder ends the block; if the holder was killed, or sleeps
beyond the fault's time, the next command undoes it. One without a holder stays until it is undone.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

from outboxctl.domain.errors import OutboxctlError, UsageError
from outboxctl.drills.faults import records
from outboxctl.drills.faults.records import Fault
from outboxctl.drills.services.model import Say, silent
from outboxctl.drills.services.record import locked

if TYPE_CHECKING:
    from outboxctl.settings import Settings

# Takes the fault, the settings of whoever undoes it (credentials come from there) and a way to tell what
# takes its time. What is undone already is no error. OutboxctlError where it cannot be done now.
Undo = Callable[[Fault, "Settings", Say], None]

UNDO: dict[str, Undo] = {}


def undone_by(kind: str) -> Callable[[Undo], Undo]:
    """Declare how faults of a kind are undone; the module must be imported by whoever undoes."""

    def declare(undo: Undo) -> Undo:
        UNDO[kind] = undo
        return undo

    return declare


class Ledger:
    """The faults under way of one state folder (None: `OUTBOXCTL_STATE`, else the platform's)."""

    def __init__(self, settings: "Settings", state: Path | None = None, *, say: Say = silent) -> None:
        self._settings, self._say = settings, say
        self.folder = records.folder(state)

    def faults(self) -> list[Fault]:
        """Every fault under way, the oldest first. UsageError where the file is damaged."""
        return records.load(self.folder)

    def begin(self, fault: Fault, begin: Callable[[], object]) -> None:
        """Write the fault down, then begin it; one that cannot begin well is undone."""
        with locked(self.folder, self._say):
            records.save(self.folder, [*self.faults(), fault])
        try:
            begin()
            self._write_again(replace(fault, seen=True))
        except BaseException:
            self.undo(fault)
            raise

    @contextmanager
    def holding(
        self, fault: Fault, begin: Callable[[], object], *, for_seconds: float | None = None
    ) -> Iterator[Fault]:
        """Begin the fault and undo it when the block ends. It is ours: if we are killed, it is left over.

        So it is too, even while we live, a few seconds after `for_seconds` are over; they count from now on,
        when it has begun.
        """
        held = replace(fault, pid=os.getpid(), born=psutil.Process().create_time())
        self.begin(held, begin)
        try:
            if for_seconds is not None:
                until = datetime.now(UTC) + timedelta(seconds=for_seconds)
                held = replace(held, seen=True, until=until)
                self._write_again(held)
            yield held
        finally:
            self.undo(held)

    def undo(self, fault: Fault) -> bool:
        """Undo a fault and cross it out; False where somebody else has. It stays where it cannot be undone.

        Raises OutboxctlError that says why, and UsageError for a kind that nobody here knows.
        """
        with locked(self.folder, self._say):
            known = next((each for each in self.faults() if each.id == fault.id), None)
            if known is None:
                return False
            with _naming(known):
                _undoing(known.kind)(known, self._settings, self._say)
            self._replace(fault, [])
        return True

    def forget(self, fault: Fault) -> None:
        """Cross a fault out that a person has undone by hand, or that is gone with its machine."""
        with locked(self.folder, self._say):
            self._replace(fault, [])

    def recover(self) -> list[Fault]:
        """Undo what is left over and say so; returns what could not be undone, after saying what to do.

        For a process that holds no fault: one that seems its own is of a run that it took the place of.
        """
        left = [fault for fault in self.faults() if fault.left_over or fault.held_here]
        return [fault for fault in left if not self._recovered(fault)]

    def _recovered(self, fault: Fault) -> bool:
        try:
            if self.undo(fault):
                self._say(f"undone, for whoever began it is gone: {fault.what}")
        except OutboxctlError as error:
            self._say(f"cannot undo what a command left behind: {error}; {error.hint}")
            return False
        return True

    def _write_again(self, fault: Fault) -> None:
        with locked(self.folder, self._say):
            self._replace(fault, [fault])

    def _replace(self, fault: Fault, by: list[Fault]) -> None:
        known = self.faults()
        if any(each.id == fault.id for each in known):
            records.save(self.folder, [each for each in known if each.id != fault.id] + by)


def _undoing(kind: str) -> Undo:
    if kind not in UNDO:
        raise UsageError(f"this outboxctl does not know how to undo {kind}", hint="use the one that began it")
    return UNDO[kind]


@contextmanager
def _naming(fault: Fault) -> Iterator[None]:
    """An error of the undoing says of what, and how to go on."""
    try:
        yield
    except OutboxctlError as error:
        hint = f"{error.hint}; then `outboxctl chaos undo {fault.id}`".removeprefix("; ")
        raise type(error)(f"{fault.what}: {error}", hint=hint) from error
    except Exception as error:  # what another version wrote, for one: the other faults shall not suffer
        hint = f"mend it by hand, then `outboxctl chaos undo {fault.id} --forget`"
        raise OutboxctlError(f"{fault.what}: {type(error).__name__}: {error}", hint=hint) from error

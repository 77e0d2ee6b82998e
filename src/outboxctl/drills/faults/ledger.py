"""The ledger: each fault is recorded before it begins, so that a later command can undo it.

A fault with a holder is undone when its holder ends the block; if the holder was killed, the next command
that begins a fault undoes it. One without a holder stays until it is undone.
"""

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil

from outboxctl.domain.errors import OutboxctlError, UsageError
from outboxctl.drills.faults import engine, guest, processes, records
from outboxctl.drills.faults.records import Fault
from outboxctl.drills.services.model import Say, locked, silent
from outboxctl.drills.signals import undisturbed
from outboxctl.settings import Settings

# The settings are those of the command that undoes the fault: the ledger holds no credentials. Does nothing
# where the fault is undone already. OutboxctlError where it cannot be undone now.
Undo = Callable[[Fault, Settings, Say], None]

UNDO: dict[str, Undo] = {
    engine.STOPPED: engine.undo_stop,
    engine.PAUSED: processes.undo_pause,
    processes.WORKER_PAUSED: processes.undo_pause,
    guest.KIND: guest.remove,
}


class Ledger:
    """The faults under way of one state folder (None: `OUTBOXCTL_STATE`, else the platform's)."""

    def __init__(self, settings: Settings, state: Path | None = None, *, say: Say = silent) -> None:
        self._settings, self._say = settings, say
        self.folder = records.folder(state)

    def faults(self) -> list[Fault]:
        """Return every fault under way, the oldest first. UsageError if the file is damaged."""
        return records.load(self.folder)

    def matching(self, facts: Mapping[str, Any]) -> list[Fault]:
        """The faults under way that have these facts among theirs."""
        return [each for each in self.faults() if facts.items() <= each.facts.items()]

    def begin(self, fault: Fault, begin: Callable[[], object]) -> None:
        """Record the fault, then begin it; where that fails, the caller undoes it."""
        with locked(self.folder, self._say):
            records.save(self.folder, [*self.faults(), fault])
        begin()

    @contextmanager
    def holding(self, fault: Fault, begin: Callable[[], object]) -> Iterator[None]:
        """Begin the fault, held by this process, and undo it when the block ends, whole despite signals."""
        held = replace(fault, pid=os.getpid(), born=psutil.Process().create_time())
        try:
            self.begin(held, begin)
            yield
        finally:
            undisturbed(lambda: self.undo(held))

    def undo(self, fault: Fault) -> bool:
        """Undo a fault and delete its record; False where another command has. OutboxctlError: it stays."""
        with locked(self.folder, self._say):
            if all(each.id != fault.id for each in self.faults()):
                return False
            with self._naming(fault):
                if fault.kind not in UNDO:
                    raise UsageError("unknown to this outboxctl", hint="use the one that began it")
                UNDO[fault.kind](fault, self._settings, self._say)
            records.save(self.folder, [each for each in self.faults() if each.id != fault.id])
        return True

    def recover(self) -> list[Fault]:
        """Undo the faults left over, and say so; those that could not be."""
        kept = []
        for fault in self.faults():
            try:
                if fault.left_over and self.undo(fault):
                    self._say(f"undone, for whoever began it is gone: {fault.what}")
            except OutboxctlError as error:
                self._say(f"cannot undo what a command left behind: {error}; {error.hint}")
                kept.append(fault)
        return kept

    @contextmanager
    def _naming(self, fault: Fault) -> Iterator[None]:
        """Put the fault and the next step into an error of its undoing."""
        try:
            yield
        except OutboxctlError as error:
            hint = f"{error.hint}; then `outboxctl chaos undo`".removeprefix("; ")
            raise type(error)(f"{fault.what}: {error}", hint=hint) from error
        except Exception as error:  # such as facts of another version; the other faults are undone
            hint = f"repair it by hand, then delete it from {self.folder / records.FILE}"
            raise OutboxctlError(f"{fault.what}: {type(error).__name__}: {error}", hint=hint) from error


def start_sink(ledger: Ledger, control: engine.SinkControl, url: str, say: Say) -> list[Fault]:
    """Undo every fault of this sink; where none is recorded and it does not answer, start it."""
    undone = [each for each in ledger.matching({"sink": url}) if ledger.undo(each)]
    if not undone and not engine.answers(url):
        control.start(say)
        engine.wait_back(url)
    return undone


def kill_worker(ledger: Ledger, each: processes.VerifiedProcess) -> None:
    """Kill a worker; faults that paused it are undone."""
    pauses = ledger.matching(processes.identity(each.process))
    processes.kill(each.process)
    for fault in pauses:
        ledger.undo(fault)

"""The sink stopped or paused, and started or resumed."""

from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, nullcontext
from functools import partial
from typing import TYPE_CHECKING, Any

from outboxctl.domain.errors import OutboxctlError, UsageError
from outboxctl.drills.faults import processes, sink, sink_controls
from outboxctl.drills.faults.ledger import Ledger, undone_by
from outboxctl.drills.faults.planned import PlannedFault
from outboxctl.drills.faults.records import Fault
from outboxctl.net.urls import parse_url

if TYPE_CHECKING:
    from outboxctl.drills.faults.sink_controls import SinkControl
    from outboxctl.drills.services.model import Say
    from outboxctl.settings import Settings

STOPPED, PAUSED = "sink-stopped", "sink-paused"
HURRY_SECONDS = 5.0  # for a command that wants to do something else, and mends this first


def stop(by: "SinkControl", url: str, say: "Say") -> PlannedFault:
    """The sink stopped. UsageError where it does not answer, or its process is known to be another one."""
    _must_answer(url)
    known = sink_controls.listener(by, _port(url)) is not None

    def begin() -> None:
        sink_controls.listener(
            by, _port(url)
        )  # again: while we waited for the ledger, a pid may have changed
        by.stop(say)
        sink.wait_away(url)

    return PlannedFault(_fault(STOPPED, by, url, {"known": known, **sink_controls.facts(by)}), begin)


def pause(by: "SinkControl", url: str, say: "Say") -> PlannedFault:
    """The sink paused: it takes connections and answers nothing. UsageError as above."""
    _must_answer(url)
    halt, facts = _halting(by, url, say)

    def begin() -> None:
        halt()
        with nullcontext() if "pid" in facts else _or_else(lambda: _go_on(by, url, say)):
            sink.wait_away(url)

    return PlannedFault(_fault(PAUSED, by, url, facts), begin)


@contextmanager
def _or_else(mend: Callable[[], None]) -> Iterator[None]:
    """Mend what was broken if it was not the sink: the undoing looks at the sink, and would leave it."""
    try:
        yield
    except BaseException:
        mend()
        raise


def _halting(by: "SinkControl", url: str, say: "Say") -> tuple[Callable[[], None], dict[str, Any]]:
    """How it is paused, and what its undoing needs."""
    if isinstance(by, sink_controls.Compose):
        return partial(by.run, "pause", say), sink_controls.facts(by)
    found = sink_controls.listener(by, _port(url))
    if found is None:
        hint = "name it with --pid-file, --unit, or --compose-file and --service"
        raise UsageError(f"{by.name}: nobody knows the process to pause", hint=hint)
    return partial(processes.pause, found), processes.identity(found)


def start(ledger: Ledger, by: "SinkControl", url: str, say: "Say") -> list[Fault]:
    """Undo every stop of this sink; where none is written down and it does not answer, start it."""
    undone = _undo(ledger, url, {STOPPED})
    if not undone and not sink.answers(url):
        by.start(say)
        sink.wait_back(url)
    return undone


def resume(ledger: Ledger, by: "SinkControl", url: str, say: "Say") -> list[Fault]:
    """Undo every pause of this sink; where none is written down and it does not answer, resume it."""
    undone = _undo(ledger, url, {PAUSED})
    if not undone and not sink.answers(url):
        _go_on(by, url, say)
        sink.wait_back(url)
    return undone


def _go_on(by: "SinkControl", url: str, say: "Say") -> None:
    if isinstance(by, sink_controls.Compose):
        by.run("unpause", say)
    elif found := sink_controls.listener(by, _port(url)):
        processes.resume(found)


def _undo(ledger: Ledger, url: str, kinds: Collection[str]) -> list[Fault]:
    ours = [each for each in ledger.faults() if each.kind in kinds and each.facts["sink"] == url]
    return [each for each in ours if ledger.undo(each)]


@undone_by(STOPPED)
def _undo_stop(fault: Fault, _: "Settings", say: "Say") -> None:
    """Where it was not seen away, an answer proves nothing: the stop may take effect yet.

    What somebody else left behind is started, and not long waited for.
    """
    url, known = fault.facts["sink"], fault.facts.get("known", False)
    if fault.seen and sink.answers(url):
        return
    there = known and not fault.seen and not sink.goes_away(url)
    try:
        sink_controls.from_facts(fault.facts).start(
            say, HURRY_SECONDS if fault.left_over else sink_controls.PATIENCE_SECONDS
        )
    except OutboxctlError:
        if not there:  # else nothing had happened, and what runs may not start a second time
            raise
    if not fault.left_over:
        sink.wait_back(url)
    elif not sink.comes_back(url, HURRY_SECONDS):
        say(f"{url} was started, and does not answer yet; if it never does, look at its log")


@undone_by(PAUSED)
def _undo_pause(fault: Fault, _: "Settings", say: "Say") -> None:
    if "pid" in fault.facts:
        processes.resume_if_there(fault.facts)
    elif not sink.answers(fault.facts["sink"]):
        _go_on(sink_controls.from_facts(fault.facts), fault.facts["sink"], say)


def _fault(kind: str, by: "SinkControl", url: str, facts: dict[str, Any]) -> Fault:
    verb = kind.removeprefix("sink-")
    return Fault(kind, f"the sink at {url} is {verb} ({by.name})", {"sink": url, **facts})


def _must_answer(url: str) -> None:
    if not sink.answers(url):
        raise UsageError(f"{url} does not answer as it is", hint="see `outboxctl chaos list`")


def _port(url: str) -> int:
    return parse_url(url).port or 0  # settings have made it explicit

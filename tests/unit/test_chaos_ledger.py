"""Whatever happens to those who began faults: what is broken is written down, and can be undone."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import psutil
import pytest
from hypothesis import settings as limits
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from outboxctl.domain.errors import OutboxctlError, UnreachableError, UsageError
from outboxctl.drills.faults import records
from outboxctl.drills.faults.ledger import UNDO, Ledger
from outboxctl.drills.faults.records import Fault
from outboxctl.settings import load

pytestmark = pytest.mark.no_servers
NAMES = st.sampled_from("abc")


@pytest.fixture
def state(tmp_path: Path) -> Iterator[Path]:
    UNDO["test"] = lambda fault, _settings, _say: Path(fault.facts["path"]).unlink(missing_ok=True)
    yield tmp_path
    del UNDO["test"]


@pytest.fixture
def ledger(state: Path) -> Ledger:
    return Ledger(load(), state)


def fault(state: Path) -> Fault:
    return Fault("test", "it is broken", {"path": str(state / "broken")})


def test_a_pid_that_came_back_is_not_the_holder(state: Path) -> None:
    with subprocess.Popen(["sleep", "60"]) as process:
        ours = replace(fault(state), pid=process.pid, born=psutil.Process(process.pid).create_time())
        assert not ours.left_over
        assert replace(ours, born=(ours.born or 0) - 60).left_over
        assert replace(ours, host="elsewhere", born=0.0).left_over is False
        process.kill()
    assert ours.left_over


def test_one_that_nobody_can_read_keeps_no_other_from_being_undone(
    ledger: Ledger, state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(UNDO, "odd", lambda fault, *_: fault.facts["of another version"])
    for kind in ("odd", "test"):
        ledger.begin(replace(fault(state), kind=kind, pid=os.getpid(), born=1.0), (state / "broken").touch)
    assert [each.kind for each in ledger.recover()] == ["odd"]
    assert not (state / "broken").exists()


@pytest.mark.parametrize("text", ["", "{", "[1]", '[{"kind": "x"}]', '{"a": 1}', "[null]", "\x00"])
def test_a_damaged_file_is_named_and_kept(ledger: Ledger, text: str) -> None:
    ledger.folder.mkdir()
    (ledger.folder / records.FILE).write_text(text)
    with pytest.raises(UsageError, match=r"faults\.json is damaged"):
        ledger.recover()
    assert (ledger.folder / records.FILE).read_text() == text


class AnyHistory(RuleBasedStateMachine):
    """What is broken (`self.broken`) is what is written down, whoever dies, and whoever undoes it."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = TemporaryDirectory()
        self.broken: set[str] = set()
        self.left: set[str] = set()  # by those who died
        self.away: set[str] = set()  # cannot be undone now
        self.said: list[str] = []
        self.ledger = Ledger(load(), Path(self.folder.name), say=self.said.append)
        UNDO["any"] = self._undo

    def _undo(self, fault: Fault, *_: object) -> None:
        if fault.facts["name"] in self.away:
            raise UnreachableError("away", hint="start it")
        self.broken.discard(fault.facts["name"])

    def _fault(self, name: str, **holder: int) -> Fault:
        return Fault("any", name, {"name": name}, **holder)  # type: ignore[arg-type]

    @rule(name=NAMES)
    def begin(self, name: str) -> None:
        if name not in self.broken:
            self.ledger.begin(self._fault(name), lambda: self.broken.add(name))

    @rule(name=NAMES)
    def begin_and_die(self, name: str) -> None:
        if name not in self.broken:
            self.ledger.begin(self._fault(name, pid=os.getpid(), born=1), lambda: self.broken.add(name))
            self.left.add(name)

    @rule(name=NAMES)
    def hold(self, name: str) -> None:
        if name not in self.broken and name not in self.away:
            with self.ledger.holding(self._fault(name), lambda: self.broken.add(name)):
                assert name in self.broken
            assert name not in self.broken

    @rule(name=NAMES)
    def undo(self, name: str) -> None:
        for each in self.ledger.faults():
            if each.facts["name"] == name:
                with suppress(OutboxctlError):
                    assert self.ledger.undo(each)
                    assert not self.ledger.undo(each), "once"
                    self.left.discard(name)

    @rule()
    def recover(self) -> None:
        kept = {each.facts["name"] for each in self.ledger.recover()}
        assert kept == self.left & self.away
        self.left = kept
        assert all(any(name in line for line in self.said) for name in kept), "in silence"

    @rule(name=NAMES)
    def comes_or_goes(self, name: str) -> None:
        self.away ^= {name}

    @invariant()
    def what_is_broken_is_written_down(self) -> None:
        assert {each.facts["name"] for each in self.ledger.faults()} == self.broken

    def teardown(self) -> None:
        del UNDO["any"]
        self.folder.cleanup()


TestAnyHistory = AnyHistory.TestCase
TestAnyHistory.settings = limits(max_examples=25, stateful_step_count=15, deadline=None)

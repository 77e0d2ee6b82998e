"""The folder of a run: which signals are orders, and which the same one again."""

import signal
from pathlib import Path

import pytest

from outboxctl.drills.scratch.folder import ScratchFolder

pytestmark = pytest.mark.no_servers


def test_one_interruption_that_comes_by_two_ways_is_one_order() -> None:
    folder = ScratchFolder(Path())
    assert folder.interrupt(signal.SIGINT, 100.0)
    assert not folder.interrupt(signal.SIGTERM, 100.49)
    assert folder.interrupted == signal.SIGINT
    assert folder.interrupt(signal.SIGTERM, 100.5)
    assert folder.interrupted == signal.SIGTERM

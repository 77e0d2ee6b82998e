"""^C in the first moments ends quietly, too."""

import sys
from types import ModuleType

import pytest

from outboxctl.cli import main

pytestmark = pytest.mark.no_servers


class Interrupted(ModuleType):
    """A module that is being loaded when ^C comes."""

    def __getattr__(self, name: str) -> object:
        raise KeyboardInterrupt


def test_an_interruption_while_the_program_loads_is_no_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "outboxctl.cli.app", Interrupted("outboxctl.cli.app"))
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 130

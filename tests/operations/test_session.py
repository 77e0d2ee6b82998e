"""The session in the docs is what a terminal shows: in tmux where there is one, and without it."""

import shutil
from pathlib import Path

import pytest

from operations.recorders import by_pty, by_tmux
from operations.session import PAGE, staged
from servers import Servers

pytestmark = pytest.mark.real_engine


@pytest.mark.slow(reason="records a session of some forty commands")
@pytest.mark.skipif(not shutil.which("tmux"), reason="tmux is not installed; the other test compares as well")
def test_the_page_is_what_tmux_shows(servers: Servers, tmp_path: Path) -> None:
    with staged(servers, tmp_path) as stage, by_tmux(stage.env, stage.cwd) as record:
        assert stage.page(record) == PAGE.read_text(), "run `make transcript`"


@pytest.mark.slow(reason="records a session of some forty commands")
def test_the_page_is_what_a_terminal_shows(servers: Servers, tmp_path: Path) -> None:
    with staged(servers, tmp_path) as stage, by_pty(stage.env, stage.cwd) as record:
        assert stage.page(record) == PAGE.read_text(), "run `make transcript`"

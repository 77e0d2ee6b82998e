"""A new user's first hour, docs/projections-session.md, is what a terminal shows."""

import shutil
from pathlib import Path

import pytest

from operations.first_hour import PAGE, begun
from operations.recorders import by_pty, by_tmux
from servers import Servers

pytestmark = pytest.mark.real_engine


@pytest.mark.slow(reason="records a session of some thirty commands and two rebuilds")
def test_the_page_is_what_a_terminal_shows(servers: Servers, tmp_path: Path) -> None:
    recorder = by_tmux if shutil.which("tmux") else by_pty
    with begun(servers, tmp_path) as hour, recorder(hour.env, hour.cwd) as record:
        assert hour.page(record) == PAGE.read_text(), "run `make transcript`"

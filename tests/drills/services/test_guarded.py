"""A server of a process that ends: it ends too, in whatever state it is."""

import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from outboxctl.drills.services.guarded import GuardedServer
from processes import eventually

pytestmark = pytest.mark.no_servers
OWNER = """
import sys, time
from pathlib import Path
from outboxctl.drills.services.guarded import GuardedServer
server = GuardedServer(["sleep", "300"], cwd=Path("/"), log=Path(sys.argv[1]))
print(server.pid, flush=True)
time.sleep(300)
"""


def test_a_server_ends_with_its_owner_even_if_both_are_killed_while_it_is_frozen(tmp_path: Path) -> None:
    command = [sys.executable, "-c", OWNER, str(tmp_path / "log")]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as owner:
        assert owner.stdout
        server = psutil.Process(int(owner.stdout.readline()))
        server.suspend()
        owner.kill()
    eventually(lambda: not server.is_running() or server.status() == psutil.STATUS_ZOMBIE, within=10)


def test_a_frozen_server_can_be_ended_in_peace_and_its_log_is_kept(tmp_path: Path) -> None:
    log = tmp_path / "log"
    talking = ["/bin/sh", "-c", "trap 'echo ended; exit' TERM; echo began; while :; do sleep 0.05; done"]
    server = GuardedServer(talking, cwd=Path("/"), log=log)
    eventually(lambda: "began" in log.read_text())
    server.send(signal.SIGSTOP)
    eventually(lambda: server.frozen)
    assert server.runs
    server.end(signal.SIGTERM)
    assert (server.runs, server.frozen) == (False, False)
    assert log.read_text() == "began\nended\n"

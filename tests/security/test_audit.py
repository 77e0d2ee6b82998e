"""`make audit` against a PyPI of our own: a flaw fails it, and what could not be asked is listed."""

import json
import os
import ssl
import subprocess
import sys
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
import yaml

from tls import Papers

pytestmark = [pytest.mark.no_servers, pytest.mark.slow(reason="asks pip what an installation would bring")]
ROOT = Path(__file__).parents[2]
HASH = f"--hash=sha256:{'0' * 64}"
LOCK = f"# A title\ngood==1.0 {HASH} {HASH} # 1234\nother==2 ; sys_platform == 'win32' {HASH}\n"
FLAW = {
    "id": "PYSEC-2026-1",
    "aliases": ["CVE-2026-1"],
    "fixed_in": ["1.1"],
    "details": "bad",
    "withdrawn": None,
}


class Index(ThreadingHTTPServer):
    """A proxy that answers for pypi.org itself: a path is a status, or the flaws of that version."""

    def __init__(self, papers: Papers) -> None:
        super().__init__(("127.0.0.1", 0), Asked)
        self.answers: dict[str, int | list[Any]] = {"good/1.0": [], "other/2": []}
        self.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.tls.load_cert_chain(*papers.issue("pypi.org"))
        self.env = {
            "PATH": os.environ["PATH"],
            "HTTPS_PROXY": f"http://127.0.0.1:{self.server_port}",
            "REQUESTS_CA_BUNDLE": papers.ca,
        }


class Asked(BaseHTTPRequestHandler):
    """A tunnel that ends here, and what is asked in it."""

    server: Index
    protocol_version = "HTTP/1.1"

    def do_CONNECT(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.close_connection = False  # though the client speaks HTTP/1.0 until here
        self.connection = self.server.tls.wrap_socket(self.connection, server_side=True)
        self.rfile, self.wfile = self.connection.makefile("rb"), self.connection.makefile("wb", 0)

    def do_GET(self) -> None:
        answer = self.server.answers[self.path.removeprefix("/pypi/").removesuffix("/json")]
        body = json.dumps({"vulnerabilities": answer}).encode()
        self.send_response(answer if isinstance(answer, int) else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Quiet."""


@pytest.fixture
def index(papers: Papers, tmp_path: Path) -> Iterator[Index]:
    (tmp_path / "lock").write_text(LOCK)
    with Index(papers) as server:
        server.env |= {"HOME": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path)}
        Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


@pytest.fixture
def lock(tmp_path: Path) -> Path:
    return tmp_path / "lock"


def audit(index: Index, lock: Path, *args: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(ROOT / "deploy/audit.py"), str(lock), *args]
    return subprocess.run(command, env=index.env, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.parametrize("args", [(), ("--must-ask",)])
def test_without_a_flaw_it_passes_and_has_nothing_to_warn_of(
    index: Index, lock: Path, args: tuple[str, ...]
) -> None:
    done = audit(index, lock, *args)
    assert (done.returncode, done.stderr) == (0, "")
    assert "2 of 2 packages" in done.stdout


@pytest.mark.parametrize("name", ["good/1.0", "other/2"])
def test_a_flaw_fails_it_for_another_platform_too(index: Index, lock: Path, name: str) -> None:
    index.answers[name] = [FLAW]
    done = audit(index, lock)
    assert done.returncode == 1
    assert f"{name.replace('/', ' ')}: PYSEC-2026-1, CVE-2026-1; mended in 1.1" in done.stdout


@pytest.mark.parametrize(("args", "code", "kind"), [((), 0, "warning"), (("--must-ask",), 3, "error")])
@pytest.mark.parametrize("status", [404, 503, None])
def test_what_could_not_be_asked_is_listed_and_ends_a_release(
    index: Index, lock: Path, status: int | None, args: tuple[str, ...], code: int, kind: str
) -> None:
    if status is None:
        index.env["HTTPS_PROXY"] = "http://127.0.0.1:9"
    else:
        index.answers["other/2"] = status
    done = audit(index, lock, *args)
    assert done.returncode == code, done.stderr
    assert f"audit: {kind}: " in done.stderr
    assert "  other==2: " in done.stderr
    assert ("  good==1.0: " in done.stderr) is (status != 404)
    assert "Traceback" not in done.stderr


def test_a_release_must_have_asked() -> None:
    flow = yaml.safe_load((ROOT / ".github/workflows/release.yml").read_text())
    steps = [step.get("run", "") for step in flow["jobs"]["build"]["steps"]]
    assert any("audit AUDIT=--must-ask" in step for step in steps)
    recipe = (ROOT / "Makefile").read_text().partition("\naudit: ")[2].splitlines()[1]
    assert recipe.split() == ["$(BIN)/python", "deploy/audit.py", "$(AUDIT)"]

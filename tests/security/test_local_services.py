"""What `services up` starts: who can reach it, and that a web page of another origin is not among them."""

import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator

import pytest

from outboxctl.domain.errors import UnreachableError
from outboxctl.drills import services
from outboxctl.drills.services import search
from outboxctl.drills.services.model import Service
from processes import eventually

PAGES = {
    "another site": {"Origin": "https://evil.example"},
    "a sandbox": {"Origin": "null"},
    "a page of this machine": {"Origin": "http://127.0.0.1:3000"},
}


def asked(url: str, method: str = "GET", headers: dict[str, str] | None = None) -> int:
    """The status; 0 where nobody answers."""
    try:
        request = urllib.request.Request(url, method=method, headers=headers or {})  # noqa: S310 - ours
        with urllib.request.urlopen(request, timeout=20) as answer:  # noqa: S310
            return int(answer.status)
    except urllib.error.HTTPError as error:
        error.close()
        return error.code
    except OSError:
        return 0


@pytest.fixture(scope="module")
def engine_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A real engine, started as `services up` starts it."""
    service = Service(
        "search", "elasticsearch", services.fresh_port(), tmp_path_factory.mktemp("es") / "data"
    )
    try:
        command = search.command(service, lambda _: None)
    except UnreachableError as error:
        pytest.skip(f"no real engine here: {error}")
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as engine:
        try:
            eventually(lambda: asked(service.url) == 200 or engine.poll() is not None, within=120)
            yield service.url
        finally:
            engine.kill()


@pytest.mark.slow(reason="an engine of its own")
@pytest.mark.no_servers
def test_a_web_page_closes_no_index_of_a_real_engine(engine_url: str) -> None:
    assert asked(f"{engine_url}/kept", "PUT") == 200
    for headers in PAGES.values():
        assert asked(f"{engine_url}/kept/_close", "POST", headers) == 403
        assert asked(f"{engine_url}/kept", "DELETE", headers) == 403
    assert asked(f"{engine_url}/kept/_count") == 200, "open, and there"

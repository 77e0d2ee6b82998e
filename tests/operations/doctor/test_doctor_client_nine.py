"""A real client 9, fetched into a cache: well with a server 9, and told what to install before a server 8."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from elasticsearch import Elasticsearch

from operations.doctor.eight import answers_like_eight
from operations.doctor.fronts import front
from outboxctl.sink.engines.elasticsearch import ElasticClient
from outboxctl.sink.index.index_setup import ensure
from processes import Cli
from servers import Servers

pytestmark = pytest.mark.real_engine
CACHE = Path(__file__).parents[3] / ".outboxctl" / "client-9"
PACKAGES = ("elasticsearch==9.*", "elastic-transport==9.*", "sniffio")


@pytest.fixture(scope="module")
def nine() -> str:
    """A folder for PYTHONPATH."""
    if not (CACHE / "elasticsearch").exists():
        command = [
            sys.executable,
            "-m",
            "pip",
            "install",
            "--quiet",
            "--no-deps",
            "--target",
            str(CACHE),
            *PACKAGES,
        ]
        if subprocess.run(command, capture_output=True, timeout=120, check=False).returncode:
            pytest.skip("a client 9 cannot be had here")
    return str(CACHE)


def _said(cli: Cli, nine: str, url: str) -> str:
    done = cli("doctor", "--only", "sink", env={"PYTHONPATH": nine, "ELASTIC_URL": url})
    assert done.returncode == 4
    return done.stdout


def test_it_works_with_a_server_9(cli: Cli, nine: str) -> None:
    assert "client" not in cli.ok("doctor", "--only", "sink", env={"PYTHONPATH": nine})


def test_before_the_recorded_words_of_a_server_8_it_says_what_to_install(
    cli: Cli, nine: str, servers: Servers
) -> None:
    with front(servers.sink, {"/*": answers_like_eight}) as url:
        said = _said(cli, nine, url)
    assert "cannot speak to a server 8.14.3" in said
    assert "pip install 'elasticsearch>=8.19,<9'" in said


@pytest.mark.skipif("TEST_ELASTIC_8_URL" not in os.environ, reason="TEST_ELASTIC_8_URL names no server 8")
def test_before_a_real_server_8_too_and_a_client_8_is_well_there(cli: Cli, nine: str, index: str) -> None:
    url = os.environ["TEST_ELASTIC_8_URL"]
    assert "pip install 'elasticsearch>=8.19,<9'" in _said(cli, nine, url)
    with Elasticsearch(url) as client:
        ensure(ElasticClient(client), index)
        try:
            cli.ok("doctor", "--only", "sink", env={"ELASTIC_URL": url})
        finally:
            client.indices.delete(index=f"{index}-000001")

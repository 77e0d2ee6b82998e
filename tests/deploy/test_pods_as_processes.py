"""The pods of deploy/kubernetes run as processes: arguments, settings and secret files fit the program."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme

from deploy.test_kubernetes import container, the
from outboxctl.drills import services
from processes import Cli, Worker, environment, eventually, start_worker
from servers import Servers

pytestmark = pytest.mark.skipif(not shutil.which("kubectl"), reason="needs kubectl")
MOUNTED = "/run/secrets/"


@pytest.fixture
def secrets(tmp_path: Path, empty_url: str) -> Path:
    """What the cluster would mount."""
    contents = {
        "outboxctl/database-url": empty_url + "\n",
        "outboxctl-owner/database-url": empty_url,
        "outboxctl/elastic-api-key": "bm90OmFza2Vk\n",
        "outboxctl/elastic-ca.crt": trustme.CA().cert_pem.bytes().decode(),
    }
    for name, text in contents.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


def environ(kind: str, secrets: Path, servers: Servers, index: str) -> dict[str, str]:
    """The environment of a pod's container, with the servers and folders of this test."""
    own = {each["name"]: each.get("value", "pod-0") for each in container(kind).get("env", [])}
    given = the("ConfigMap")["data"] | own | {"ELASTIC_URL": servers.sink, "ELASTIC_INDEX": index}
    return environment(**{name: value.replace(MOUNTED, f"{secrets}/") for name, value in given.items()})


@pytest.fixture
def worker(secrets: Path, servers: Servers, index: str) -> Iterator[Worker]:
    """The Deployment's container, after the Job's: twice, as a second release would."""
    job = Cli(environ("Job", secrets, servers, index), secrets)
    job.ok(*container("Job")["args"])
    job.ok(*container("Job")["args"])
    assert container("Deployment")["args"] == ["worker"]
    running = start_worker(environ("Deployment", secrets, servers, index), secrets, services.fresh_port())
    yield running
    running.end()


def test_the_migration_goes_before_and_the_worker_gets_ready(worker: Worker) -> None:
    eventually(lambda: worker.get("/readyz")[0] == 200, what=worker.log.read_text())
    worker.signal()
    assert worker.wait() == 0

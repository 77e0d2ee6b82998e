"""The Compose files: of their schema, the two ends by default, a worker and monitoring by profile."""

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

import servers
from outboxctl.settings import Settings, env_names

pytestmark = pytest.mark.no_servers
ROOT = Path(__file__).parents[2]
FILE = ROOT / "docker-compose.yml"
INFRA = ROOT / "docker-compose.infra.yml"  # the lab document's name for it
LABS = ROOT / "docs/labs/ci/compose.yml"
PROJECT: dict[str, Any] = yaml.safe_load(FILE.read_text())
SERVICES: dict[str, dict[str, Any]] = PROJECT["services"]
# What the document has people do with Docker.
ITS_COMMANDS = (
    "docker compose -f docker-compose.infra.yml up -d es",
    "docker compose -f docker-compose.infra.yml --profile monitoring up -d",
    "docker compose -f docker-compose.infra.yml stop es",
)


def started_by(profile: str | None) -> set[str]:
    """The services that `docker compose --profile …` starts."""
    return {name for name, it in SERVICES.items() if not it.get("profiles") or profile in it["profiles"]}


def test_compose_takes_each_file() -> None:
    check = str(Path(sys.executable).with_name("check-jsonschema"))
    command = [check, "--builtin-schema", "vendor.compose-spec", str(FILE), str(INFRA), str(LABS)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout


def test_without_a_profile_it_is_the_two_ends_alone() -> None:
    ends = {"postgres", "es"}
    assert started_by(None) == ends, "`services up` needs no Dockerfile beside the file in the wheel"
    assert started_by("worker") == ends | {"worker"}
    assert started_by("monitoring") == ends | {"prometheus", "grafana"}, (
        "a second worker would take the events of the one that a lab is about"
    )


def test_the_commands_of_the_lab_document_find_what_services_up_started() -> None:
    assert yaml.safe_load(INFRA.read_text()) == {"name": PROJECT["name"], "include": [FILE.name]}
    words = {word for command in ITS_COMMANDS for word in re.findall(r"(?:-d|stop) (\w+)$", command)}
    assert words == {"es"}
    assert words <= SERVICES.keys()


@pytest.mark.parametrize("page", ["docs/migrate/from-the-lab-scripts.md", "docs/zh/from-the-lab-scripts.md"])
def test_the_migration_page_has_each_start_of_the_lab_document(page: str) -> None:
    text = (ROOT / page).read_text()
    assert "devtest_db_5435_start.ps1" in text
    assert [command for command in ITS_COMMANDS if command not in text] == []


@pytest.mark.parametrize("name", sorted(SERVICES))
def test_every_image_is_pinned_and_every_port_is_this_machine_s(name: str) -> None:
    service = SERVICES[name]
    assert "build" in service or re.search(r":v?\d+\.\d+", service["image"]), "a version, not `latest`"
    assert all(port.startswith("127.0.0.1:") for port in service.get("ports", []))


def test_the_labs_in_containers_have_the_same_two_ends() -> None:
    images = [service["image"] for service in yaml.safe_load(LABS.read_text())["services"].values()]
    assert images[:2] == [SERVICES[name]["image"].partition("@")[0] for name in ("postgres", "es")]


def test_the_worker_s_settings_exist() -> None:
    known = {alias for field in Settings.model_fields for alias in env_names(field)}
    assert SERVICES["worker"]["environment"].keys() <= known


def test_the_worker_gets_the_time_to_stop_that_it_takes() -> None:
    grace = float(SERVICES["worker"]["stop_grace_period"].rstrip("s"))
    assert grace > Settings.model_fields["shutdown_grace_seconds"].default


def test_what_is_mounted_is_there() -> None:
    mounts = [mount for service in SERVICES.values() for mount in service.get("volumes", [])]
    sources = [mount.partition(":")[0] for mount in mounts if mount.startswith("./")]
    assert sources
    missing = [source for source in sources if not (ROOT / source).exists()]
    assert not missing, "Docker would make empty folders of them"


def test_the_tests_start_containers_only_where_they_are_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("TEST_DATABASE_URL", "TEST_ELASTIC_URL", "OUTBOXCTL_TEST_DOCKER"):
        monkeypatch.delenv(name, raising=False)
    assert "Docker" not in servers.choice(), "whether or not an engine answers"
    monkeypatch.setenv("OUTBOXCTL_TEST_DOCKER", "1")
    assert "Docker" in servers.choice()

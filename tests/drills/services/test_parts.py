"""The parts that no server is needed for."""

import signal
import subprocess
from pathlib import Path

import pytest

from outboxctl.cli.services import Search
from outboxctl.domain.errors import UnreachableError
from outboxctl.drills.services import docker, engines, place, postgres, process
from outboxctl.drills.services.engines import RELEASES, Release
from outboxctl.drills.services.model import CAVEATS, ENGINES


def test_the_same_engine_everywhere() -> None:
    image = f"elasticsearch/elasticsearch:{RELEASES['elasticsearch'].version} "
    assert image in docker.compose_file().read_text()


def test_a_caveat_says_that_analyzers_of_languages_are_missing() -> None:
    assert not any("analysis-common" in RELEASES[kind].modules for kind in ENGINES)
    assert all("no analysis-common (english" in CAVEATS[kind] for kind in ENGINES)


def test_an_interrupted_preparation_is_not_taken_for_ready(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def breaks(_: Release, home: Path, *__: object) -> None:
        home.mkdir()
        (home / "lib").mkdir()
        raise UnreachableError("interrupted")

    def succeeds(_: Release, home: Path, *__: object) -> None:
        (home / "Engine.classes").mkdir(parents=True)

    monkeypatch.setenv("OUTBOXCTL_CACHE", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))  # where root's copy lies
    monkeypatch.setattr(engines, "_build", breaks)
    with pytest.raises(UnreachableError):
        engines.engine_home(RELEASES["opensearch"], tmp_path, print)
    monkeypatch.setattr(engines, "_build", succeeds)
    monkeypatch.setattr(engines, "check_jars", lambda *_: None)  # there are no jars
    home = engines.engine_home(RELEASES["opensearch"], tmp_path, print)
    assert [path.name for path in home.iterdir()] == ["Engine.classes"]


@pytest.mark.slow(reason="initializes a PostgreSQL cluster")
def test_an_interrupted_initdb_is_not_taken_for_ready(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", "/tmp")  # noqa: S108 - where `nobody` comes, if we are root
    home = place.home(tmp_path, "postgres")
    try:
        (home / "data.part").mkdir()
        (home / "data.part" / "PG_VERSION").write_text("17\n")
        assert (postgres.prepare(home, fast=True) / "PG_VERSION").read_text() == "18\n"
        assert not (home / "data.part").exists()
    finally:
        subprocess.run(["rm", "-r", home.parent], check=True)


def test_binaries_out_of_reach_are_copied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setattr(place, "reaches", lambda _: False)
    copied = place.binaries()
    assert copied.is_relative_to(tmp_path)
    assert place.binaries() == copied
    shown = subprocess.run([copied / "initdb", "--version"], capture_output=True, text=True, check=True)
    assert "PostgreSQL" in shown.stdout


def test_a_server_never_runs_unless_it_is_recorded(tmp_path: Path) -> None:
    trace = tmp_path / "ran"
    with (
        pytest.raises(OSError, match="disk full"),
        process.spawned(["touch", str(trace)], cwd=tmp_path, log=tmp_path / "log", account={}) as (pid, born),
    ):
        raise OSError("disk full")
    while process.find(pid, born):
        pass
    assert not trace.exists()


def test_a_deaf_process_is_killed(tmp_path: Path) -> None:
    deaf = ["sh", "-c", "trap '' TERM; echo deaf; while :; do sleep 1; done"]
    with process.spawned(deaf, cwd=tmp_path, log=tmp_path / "log", account={}) as (pid, born):
        pass
    while not (tmp_path / "log").read_text():
        pass
    found = process.find(pid, born)
    assert found
    process.end(found, signal.SIGTERM, patience=0.3)
    assert process.find(pid, born) is None


def test_services_up_offers_every_engine() -> None:
    assert set(ENGINES) == set(RELEASES)
    assert {search.value for search in Search} == {*ENGINES, "auto", "noida"}

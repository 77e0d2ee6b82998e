"""`services up` by root: no server is root, and no folder of the servers' user leads root elsewhere."""

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from outboxctl.domain.errors import UnreachableError, UsageError
from outboxctl.drills import services
from outboxctl.drills.services import place, postgres
from outboxctl.drills.services.model import SearchWish

pytestmark = [pytest.mark.no_servers, pytest.mark.slow(reason="starts servers of its own")]
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder or a process to another")
NOBODY = pwd.getpwnam("nobody").pw_uid
ORDINARY = pwd.getpwnam("daemon").pw_uid


@pytest.fixture
def open_folder(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder of ours that everybody can pass through, as tmp_path is not."""
    monkeypatch.setattr("tempfile.tempdir", "/tmp")  # noqa: S108
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o711)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def state(open_folder: Path) -> Iterator[Path]:
    yield open_folder / "state"
    services.down(open_folder / "state", purge=True)


@pytest.fixture
def victim(open_folder: Path) -> Path:
    """A file that only root may write."""
    file = open_folder / "victim"
    file.write_text("root's own\n")
    file.chmod(0o600)
    return file


def _as_nobody(*command: str) -> None:
    subprocess.run(command, check=True, cwd="/", **place.account())


@as_root
def test_a_link_in_the_servers_folder_overwrites_no_file_of_roots(
    open_folder: Path, victim: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = postgres._run

    def plants(program: str, *arguments: str, **more: object) -> None:
        run(program, *arguments, **more)  # type: ignore[arg-type]
        if program == "initdb":
            _as_nobody("ln", "-sf", str(victim), str(arguments[1] + "/pg_hba.conf"))

    monkeypatch.setattr(postgres, "_run", plants)
    with suppress(UnreachableError):  # that user may not write there either
        postgres.prepare(place.home(open_folder, "postgres"), fast=True)
    assert victim.read_text() == "root's own\n"


@pytest.mark.slow(reason="starts servers of its own as another user")
@as_root
@pytest.mark.parametrize("search", ["noida", "elasticsearch"])
def test_neither_server_of_roots_is_root(
    state: Path, search: SearchWish, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ELASTIC_API_KEY", "c4n4ry")
    both = services.up(state, search=search, fresh_ports=True, fast=True)
    for service in (both.postgres, both.search):
        process = psutil.Process(service.pid)
        ids = (*process.uids(), *process.gids())
        assert 0 not in ids, (service.kind, ids)
        assert "c4n4ry" not in str(process.environ())
        assert service.home.stat().st_uid == 0
        assert service.log.stat().st_uid == 0
        assert {file.lstat().st_uid for file in service.data.rglob("*")} <= {NOBODY}
        # Where the log and the password lie, that user can make no link.
        assert not _may_write(service.home)
    again = services.start_search(state) if services.stop("search", state) else None
    assert again
    assert again.kind == search


def _may_write(folder: Path) -> bool:
    test = ["/bin/sh", "-c", 'test -w "$0"', str(folder)]
    return subprocess.run(test, cwd="/", check=False, **place.account()).returncode == 0


@as_root
def test_a_purge_follows_no_link(state: Path, victim: Path) -> None:
    both = services.start_search(state, search="noida", fresh=True)
    kept = victim.parent / "kept"
    kept.mkdir()
    (kept / "file").touch()
    for name, target in (("folder", kept), ("file", victim), ("postmaster.pid", victim)):
        _as_nobody("ln", "-s", str(target), str(both.data / name))
    services.down(state, purge=True)
    assert not both.home.exists()
    assert (kept / "file").exists()
    assert victim.read_text() == "root's own\n"


@as_root
@pytest.mark.parametrize("shape", ["theirs", "writable", "below theirs"])
def test_root_works_in_no_folder_that_another_user_can_change(open_folder: Path, shape: str) -> None:
    theirs = open_folder / "theirs"
    theirs.mkdir()
    if shape == "writable":
        theirs.chmod(0o777)
    else:
        os.chown(theirs, ORDINARY, ORDINARY)
    state = theirs / "deep" / "state" if shape == "below theirs" else theirs
    for act in (
        lambda: services.start_search(state, search="noida", fresh=True),
        lambda: services.down(state, purge=True),
        lambda: services.status(state),
    ):
        with pytest.raises(UsageError, match="another user can change"):
            act()
    assert list(theirs.iterdir()) == []

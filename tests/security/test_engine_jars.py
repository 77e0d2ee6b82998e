"""What is downloaded by Maven is run only if it is what was pinned, and what its repository vouches for."""

import hashlib
import os
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from outboxctl.domain.errors import UsageError
from outboxctl.drills.services import engines
from outboxctl.drills.services.engines import RELEASES, Release
from outboxctl.drills.services.model import Say

KEPT = Path.home() / ".m2" / "repository"
ENGINE = RELEASES["elasticsearch"]
JAR = f"org/elasticsearch/elasticsearch/{ENGINE.version}/elasticsearch-{ENGINE.version}.jar"
SETTINGS = """<settings><mirrors><mirror><id>here</id><mirrorOf>*</mirrorOf>
<url>file://{}</url></mirror></mirrors></settings>"""

pytestmark = [pytest.mark.no_servers, pytest.mark.slow(reason="reads the jars of a whole engine")]
needs_maven = pytest.mark.skipif(
    not (KEPT / JAR).exists() or not shutil.which("mvn") or not engines.java_home(ENGINE.java),
    reason="Maven has not fetched an Elasticsearch here",
)


@pytest.fixture
def served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What Maven has fetched here, as the one repository that is asked; nothing is kept or prepared yet."""
    served = tmp_path / "served"
    shutil.copytree(KEPT, served, copy_function=os.symlink)  # it holds hundreds of megabytes
    config = tmp_path / "home" / ".m2"
    config.mkdir(parents=True)
    (config / "settings.xml").write_text(SETTINGS.format(served))
    monkeypatch.setenv("MAVEN_OPTS", f"-Duser.home={tmp_path / 'home'}")
    monkeypatch.setenv("OUTBOXCTL_CACHE", str(tmp_path / "cache"))
    return served


def _change(file: Path) -> None:
    """Turn one bit in the middle, in a copy: the file is a link to what Maven has fetched."""
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.unlink()
    file.write_bytes(content)


def _prepare(say: Say = print) -> Path:
    java = engines.java_home(ENGINE.java)
    assert java
    return engines.engine_home(ENGINE, java, say)


@needs_maven
def test_a_jar_changed_by_one_bit_together_with_its_checksum_is_refused(served: Path) -> None:
    _change(served / JAR)
    found = (served / JAR).read_bytes()
    checksum = served / f"{JAR}.sha1"
    checksum.unlink()
    checksum.write_text(hashlib.sha1(found, usedforsecurity=False).hexdigest())
    with pytest.raises(UsageError) as refused:
        _prepare()
    assert "the jars of Elasticsearch 9.0.4 were changed" in str(refused.value)
    assert f"expected 48 jars with SHA-256 {ENGINE.sha256}" in str(refused.value)
    assert "~/.m2" in refused.value.hint


def test_a_prepared_engine_with_a_changed_jar_is_not_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = _small(tmp_path, monkeypatch)
    jar = engines.engine_home(engine, tmp_path, print) / "lib" / "one.jar"
    _change(jar)
    with pytest.raises(UsageError, match="were changed"):
        engines.engine_home(engine, tmp_path, print)
    jar.unlink()
    with pytest.raises(UsageError, match="found 0 with"):
        engines.engine_home(engine, tmp_path, print)


@pytest.mark.parametrize("name", ["lib/two.jar", "modules/one.jar", "modules/transport/two.jar"])
def test_a_jar_that_is_on_no_list_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    engine = _small(tmp_path, monkeypatch)
    home = engines.engine_home(engine, tmp_path, print)
    (home / name).parent.mkdir(parents=True, exist_ok=True)
    (home / name).write_bytes(b"one")
    with pytest.raises(UsageError, match="found 2 with"):
        engines.engine_home(engine, tmp_path, print)


def _small(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Release:
    """An engine of one jar."""
    listed = f"{hashlib.sha256(b'one').hexdigest()}  one.jar\n"
    monkeypatch.setenv("OUTBOXCTL_CACHE", str(folder / "cache"))

    def build(_: Release, home: Path, *__: object) -> None:
        (home / "lib").mkdir(parents=True)
        (home / "lib" / "one.jar").write_bytes(b"one")

    monkeypatch.setattr(engines, "_build", build)
    monkeypatch.setattr("tempfile.tempdir", str(folder))  # where root's copy lies
    return replace(ENGINE, jars=1, sha256=hashlib.sha256(listed.encode()).hexdigest())

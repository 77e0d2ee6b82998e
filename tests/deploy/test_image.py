"""The image, as far as a machine without a Docker engine can tell: its steps are done here, one by one.

What that cannot show is in docs/deploy/README.md, under "Unproven".
"""

import json
import re
import subprocess
from collections.abc import Callable, Iterator

import pytest

from deploy.dockerfile import CONTEXT, DOCKERFILE, Emulated, stages, the
from outboxctl.drills import services
from processes import eventually

Start = Callable[..., subprocess.Popen[str]]


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Emulated:
    """What the first stage leaves, and what the last one starts."""
    emulated = Emulated(tmp_path_factory.mktemp("image") / "root")
    emulated.build()
    return emulated


@pytest.fixture
def contained(image: Emulated) -> Iterator[Start]:
    """Starts the entry point and leaves no process behind."""
    started: list[subprocess.Popen[str]] = []

    def start(*args: str, **given: str) -> subprocess.Popen[str]:
        started.append(image.start(*args, **given))
        return started[-1]

    yield start
    for each in started:
        each.kill()
        each.communicate()


@pytest.mark.slow(reason="builds an image")
def test_it_migrates_and_works_without_a_home_and_stops_when_told(
    image: Emulated,
    contained: Start,
    env: dict[str, str],
    empty_url: str,
) -> None:
    port = str(services.fresh_port())
    given = {name: env[name] for name in ("ELASTIC_URL", "ELASTIC_INDEX")}
    given |= {"DATABASE_URL": empty_url, "OUTBOX_METRICS_PORT": port}
    upgrade = contained("db", "upgrade", **given)
    assert upgrade.wait(60) == 0, upgrade.communicate()
    assert not image.healthy(OUTBOX_METRICS_PORT=port), "nothing runs yet"
    running = contained(*json.loads(the("CMD")), **given)
    eventually(lambda: image.healthy(OUTBOX_METRICS_PORT=port, http_proxy="http://127.0.0.1:9"))
    running.terminate()  # SIGTERM is what Docker sends unless the image names another
    assert running.wait(30) == 0


@pytest.mark.slow(reason="builds an image")
def test_a_changed_dependency_is_refused(image: Emulated) -> None:
    lock = image.place / "src/requirements.lock"
    locked = re.compile(r"^(structlog==\S+) .*$", re.MULTILINE)
    changed = locked.sub(rf"\1 --hash=sha256:{'0' * 64}", lock.read_text())
    lock.with_name("wrong.lock").write_text(changed)
    install = next(rest for name, rest in stages()[0] if name == "RUN" and "venv" in rest)
    with pytest.raises(AssertionError, match="DO NOT MATCH THE HASHES"):
        image.run(install.replace("requirements.lock", "wrong.lock").replace("/opt/outboxctl", "/opt/wrong"))


@pytest.mark.no_servers
def test_the_last_stage_runs_nothing_and_is_nobody() -> None:
    assert CONTEXT[1] == "*", "nothing is sent to the engine that the image does not need"
    names = [name for name, _ in stages()[1]]
    assert "RUN" not in names, "so nothing is installed in it: no compiler, no package manager's cache"
    assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", the("USER"))
    assert names.index("USER") < names.index("ENTRYPOINT")
    assert not re.search(r"^FROM .*(:latest|[^}]$)", DOCKERFILE.replace(" AS build", ""), re.MULTILINE)
    pinned = r"^ARG PYTHON=3\.\d+\.\d+-slim-\w+@sha256:[0-9a-f]{64}$"
    assert re.search(pinned, DOCKERFILE, re.MULTILINE), "a patch release, and the very image of it"

"""Lines for a shell: whatever a `.env`, a folder or a sink is called, only what we meant is run."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from elasticsearch import BadRequestError, Elasticsearch

from outboxctl.domain.errors import UsageError
from outboxctl.domain.printable import export
from outboxctl.drills import services
from outboxctl.settings import all_names, load
from processes import Cli, environment

# Elasticsearch takes each of these for an index; a shell runs what is in them, unless they are quoted.
RUNS = ["x';evil;'", "x'$(evil)'", "x`evil`", "x$(evil)", "x;evil", "x&evil", "é$(evil)"]
# Each of these is refused by Elasticsearch itself.
NO_INDEX = ["Upper", "a b", "a*", 'a"b', "a|b", "a\\b", "-x", "..", "é" * 128]


@pytest.fixture
def evil(tmp_path: Path) -> Path:
    """A folder of programs in which `evil` leaves a trace."""
    folder = tmp_path / "bin"
    folder.mkdir()
    program = folder / "evil"
    program.write_text(f"#!/bin/sh\n: > '{tmp_path}/ran'\n")
    program.chmod(0o755)
    return folder


@pytest.fixture
def state(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "the user's state"
    yield folder
    services.down(folder, purge=True)


def evaluated(lines: str, evil: Path) -> dict[str, str]:
    """What a shell has after it evaluated these lines, `evil` being a command of its."""
    done = subprocess.run(
        ["bash", "-c", 'eval "$LINES"; env -0'],
        env={"LINES": lines, "PATH": f"{evil}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=True,
    )
    return dict(each.split("=", 1) for each in done.stdout.split("\0") if "=" in each)


def test_what_services_up_prints_runs_nothing_of_a_dotenv(tmp_path: Path, state: Path, evil: Path) -> None:
    here = tmp_path / "cloned"
    here.mkdir()
    (here / ".env").write_text(f'ELASTIC_INDEX="{RUNS[0]}"\n')
    ports = ["--postgres-port", str(services.fresh_port()), "--search-port", str(services.fresh_port())]
    up = Cli(environment(OUTBOXCTL_STATE=str(state)), here)
    told = evaluated(up.ok("services", "up", "--search", "noida", *ports), evil)
    assert told["ELASTIC_INDEX"] == RUNS[0]
    assert not (tmp_path / "ran").exists()


@pytest.mark.no_servers
@pytest.mark.parametrize("name", [*RUNS, "a b\nevil", "-n", "\\", "'", "''", "!!", "~", ""])
def test_any_value_is_one_word_of_a_shell(name: str, evil: Path) -> None:
    assert evaluated(export("X", name), evil)["X"] == name
    assert not (evil.parent / "ran").exists()


@pytest.mark.parametrize("name", [*RUNS, *NO_INDEX])
@pytest.mark.real_engine
def test_we_take_the_names_that_elasticsearch_takes(name: str, env: dict[str, str]) -> None:
    with Elasticsearch(env["ELASTIC_URL"]) as engine:
        try:
            engine.indices.create(index=name, settings={"number_of_replicas": 0})
        except (BadRequestError, ValueError):
            taken = False
        else:
            engine.indices.delete(index=name)
            taken = True
    assert taken is (name in RUNS)
    if taken:
        assert load(elastic_index=name).elastic_index == name
    else:
        with pytest.raises(UsageError):
            load(elastic_index=name)


@pytest.mark.no_servers
@pytest.mark.parametrize(
    ("name", "rule"),
    [
        ("Upper", "lower case"),
        ("a,b", "none of"),
        ("a;b c", "none of"),
        ("_x", "begin"),
        ("..", "begin"),
        ("x" * 249, "248 bytes"),
        ("a\x1b[31m", "control characters"),
    ],
)
def test_what_no_index_can_be_called_is_refused_with_its_origin_and_the_rule(
    name: str, rule: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for known in all_names():
        monkeypatch.delenv(known, raising=False)
    Path(".env").write_text(f'ELASTIC_INDEX="{name}"\n')
    with pytest.raises(UsageError, match=rule) as caught:
        load()
    assert "ELASTIC_INDEX in .env" in str(caught.value)
    assert "\x1b" not in str(caught.value)
    monkeypatch.setenv("ELASTIC_INDEX", name)
    with pytest.raises(UsageError, match=r"bad setting ELASTIC_INDEX in the environment"):
        load()
    with pytest.raises(UsageError, match="bad setting --elastic-index"):
        load(elastic_index=name)

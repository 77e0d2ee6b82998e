"""What a person may rely on in every command, those included that are not written yet."""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from elasticsearch import Elasticsearch

import servers as test_servers
from operations.every_command import OTHERS, RAW, READING, SHOWN, haunt, leaves
from operations.terminal import CONTROL, show
from processes import OUTBOXCTL, Cli
from servers import Servers

NARROW = 40  # columns; the session in the docs shows 80
# What scripts rely on: the names of contract.md.
NAMES = {
    "failed list": {"failed", "groups"},
    "lab list": {"labs"},
    "oldest": {"events"},
    "projection list": {"projections"},
    "replay": {"matched", "selected", "dry_run", "ids"},
    "status": {
        *("projection", "status", "stuck", "lag", "oldest_age_seconds", "oldest_pending"),
        "failed_by_reason",
    },
    "stuck": {"events"},
}
OF_EACH = {
    ("lab list", "labs"): {"name"},
    ("oldest", "events"): {"id", "created_at", "attempts", "next_retry_at", "error_reason"},
    ("status", "oldest_pending"): {"id", "created_at", "attempts", "next_retry_at", "error_reason"},
}


@pytest.fixture(scope="module")
def url(servers: Servers, template: str) -> Iterator[str]:
    """One database for all these tests: no command here changes anything."""
    with test_servers.a_database(servers.postgres, template) as url:
        yield url


@pytest.fixture(scope="module")
def index(engine: Elasticsearch) -> Iterator[str]:
    """One index, for the same reason."""
    with test_servers.an_index(engine) as name:
        yield name


@pytest.fixture(scope="module")
def haunted(url: str) -> None:
    with psycopg.connect(url, autocommit=True) as sql:
        haunt(sql)


def test_every_command_is_known_here() -> None:
    assert {path for path, _ in leaves()} == {*READING, *OTHERS}, "declare a new command in every_command.py"


@pytest.mark.parametrize(
    ("path", "command"), list(leaves()), ids=lambda each: each if isinstance(each, str) else ""
)
def test_help_says_how_to_begin(path: str, command: object) -> None:
    text = getattr(command, "help", "")
    example = text.partition("\n\nExample: ")[2]
    assert example.startswith(f"outboxctl {path}"), f"{path}: no example"


@pytest.mark.parametrize("path", READING)
@pytest.mark.usefixtures("haunted")
def test_json_is_one_document_on_stdout_with_the_names_that_scripts_rely_on(cli: Cli, path: str) -> None:
    done = cli(*path.split(), *READING[path], "--json")
    assert done.returncode in (0, 4), done.stderr
    document: Any = json.loads(done.stdout)
    assert NAMES.get(path, set()) <= set(document)
    for (command, key), names in OF_EACH.items():
        if command == path:
            assert document[key]
            assert all(names <= set(each) for each in document[key])
    assert not any(raw in done.stdout + done.stderr for raw in ("\x1b", *RAW))


@pytest.mark.slow(reason="each command once more")
@pytest.mark.parametrize("path", READING)
@pytest.mark.usefixtures("haunted")
def test_a_pipe_gets_plain_text_and_may_be_closed(cli: Cli, path: str) -> None:
    command = ["bash", "-c", '"$@" | { head -1; exit ${PIPESTATUS[0]}; }; echo "${PIPESTATUS[0]}" >&2', "-"]
    done = subprocess.run(
        [*command, *OUTBOXCTL, *path.split(), *READING[path]],
        env=cli.env | {"FORCE_COLOR": ""},
        cwd=cli.cwd,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.stderr.strip() in ("0", "4")
    assert done.stdout.strip()
    assert not any(raw in done.stdout for raw in ("\x1b", *RAW))


@pytest.mark.parametrize("path", READING)
@pytest.mark.usefixtures("haunted")
def test_a_narrow_terminal_shows_it_escaped_whole_and_without_a_pager(
    cli: Cli, path: str, tmp_path: Path
) -> None:
    pager = f"touch {tmp_path / 'paged'}"
    env = cli.env | {"TERM": "xterm-256color", "PAGER": pager, "MANPAGER": pager, "LESS": "-R"}
    shown = show([*path.split(), *READING[path]], env, tmp_path, columns=NARROW)
    assert shown.returncode in (0, 4), shown.raw
    assert not any(raw in shown.raw for raw in RAW)
    assert not (tmp_path / "paged").exists()
    lines = CONTROL.sub("", shown.raw).splitlines()
    assert any(str(SHOWN.get(path, "")) in line[:NARROW] for line in lines), "\n".join(lines)


@pytest.mark.parametrize("quiet", [{"NO_COLOR": "1", "TERM": "xterm-256color"}, {"TERM": "dumb"}], ids=str)
@pytest.mark.usefixtures("haunted")
def test_no_colour_and_dumb_terminals_get_no_escapes(cli: Cli, quiet: dict[str, str], tmp_path: Path) -> None:
    for path in ("status", "replay", "audit"):
        shown = show([*path.split(), *READING[path]], cli.env | quiet, tmp_path, columns=80)
        assert shown.returncode == 0
        assert "\x1b" not in shown.raw, repr(shown.raw)


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        (["stauts"], "status"),
        (["failed", "discrd"], "discard"),
        (["status", "--wach", "2"], "--watch"),
        (["replay", *READING["replay"], "--error-reason", "maping"], "mapping"),
    ],
    ids=str,
)
def test_a_slip_gets_the_nearest_word(cli: Cli, typed: list[str], meant: str) -> None:
    done = cli(*typed)
    assert (done.returncode, done.stdout) == (2, "")
    assert meant in done.stderr


def test_an_option_that_stands_before_the_command_is_said_to(cli: Cli) -> None:
    ended = cli("status", "--database-url", "postgresql://u:geheim@127.0.0.1/x")
    assert ended.returncode == 2
    assert "outboxctl --database-url … COMMAND" in ended.stderr
    assert "geheim" not in ended.stderr

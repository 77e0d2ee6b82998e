"""What commands, workers and evidence say holds no secret; the probes say only our own words."""

import json
import re
import subprocess
import sys
import unicodedata
from collections.abc import Callable, Iterator
from pathlib import Path
from unittest.mock import patch

import psycopg
import pytest

from acceptance import lab
from drilled import record
from fakes import Script, fake_sink
from fakes.faults import answered
from operations.every_command import EVIL, haunt
from outboxctl.domain import redaction
from outboxctl.drills.labs.evidence import HALF_LOG, EvidenceFolder
from processes import Cli, Worker, environment, eventually
from servers import Servers

pytestmark = pytest.mark.slow(reason="each command with secrets in every setting")

CANARY = "c4nary-in-the-coal"
HOSTILE = ("\x9b", "\x85", "\x7f", "\u061c", "\u200e", "\u202e", "\u2066", "\u2028", "\ufeff")
# A command whose settings load, and whose work then ends in somebody else's error.
FAILS = """
import outboxctl.cli.options as options
from outboxctl.cli import main
real = options.settings
def failing(**flags):
    url = real(**flags).require_database_url()
    try:
        raise ValueError(f"cannot connect to {url}")
    except ValueError as error:
        raise RuntimeError(f"a library says {url!r} {url[-200:]}") from error
options.settings = failing
main()
"""


@pytest.fixture
def person(url: str) -> Iterator[psycopg.Connection]:
    """Somebody whose session is called as he likes."""
    with psycopg.connect(url, autocommit=True, application_name="chosen by a session") as connection:
        yield connection


@pytest.mark.no_servers
def test_a_traceback_that_was_asked_for_holds_no_secret(tmp_path: Path) -> None:
    url = f"postgresql://u:{CANARY}@127.0.0.1:1/app"
    done = subprocess.run(
        [sys.executable, "-c", FAILS, "status"],
        env=environment(DATABASE_URL=url, OUTBOXCTL_DEBUG="1"),
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert CANARY not in done.stderr
    assert done.returncode == 1
    assert done.stderr.count("Traceback") == 2, "both errors of the chain"
    assert "RuntimeError: a library says" in done.stderr


@pytest.mark.no_servers
@pytest.mark.parametrize(
    "args", [("status", f"postgresql://u:{CANARY}@h/d"), ("oldest", "--limit", f"http://u:{CANARY}@h\x9b")]
)
def test_a_misplaced_url_is_refused_without_its_password(tmp_path: Path, args: tuple[str, ...]) -> None:
    done = Cli(environment(), tmp_path)(*args)
    assert done.returncode == 2
    assert "Usage: outboxctl" in done.stderr
    assert CANARY not in done.stderr
    assert "\x9b" not in done.stderr


@pytest.mark.no_servers
def test_the_table_of_hostile_characters_has_all_that_unicode_names() -> None:
    from outboxctl.domain.printable import CONTROL

    # Bidi_Control in https://www.unicode.org/Public/UCD/latest/ucd/PropList.txt
    marks = {0x61C, 0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2066, 0x206A)}
    for code in range(0x110000):
        if code in marks or unicodedata.category(chr(code)) in {"Cc", "Zl", "Zp"}:
            assert CONTROL.search(chr(code)), hex(code)


def test_json_is_safe_to_look_at_and_says_the_same(cli: Cli, sql: lab.Sql) -> None:
    text = "".join(HOSTILE) + EVIL
    haunt(sql)
    sql.execute("UPDATE search_outbox_events SET error = %s WHERE status = 'failed'", [text])
    raw = cli.ok("failed", "list", "--json")
    assert not [hex(ord(each)) for each in raw if each != "\n" and not each.isprintable()]
    assert text in str(json.loads(raw)["groups"][0]) or text in raw.encode().decode("unicode_escape")
    shown = json.loads(cli.ok("failed", "list", "--json", env={"PYTHONIOENCODING": "ascii"}))
    assert shown == json.loads(raw)


def test_the_probes_show_only_our_own_words(
    sql: lab.Sql, worker: Callable[..., Worker], servers: Servers
) -> None:
    chosen = "chosen-by-the-sink"
    body = json.dumps({"error": {"type": "security_exception", "reason": chosen}}).encode()
    lab.load(sql, 3)
    script = Script.always(answered(401, body))
    with fake_sink(script, upstream=servers.sink) as sink:
        running = worker(ELASTIC_URL=sink.url, OUTBOX_OUTAGE_POLICY="hold")
        said = eventually(lambda: "auth" in (b := running.get("/readyz")[1]) and b, what="it says so")
        assert chosen in eventually(lambda: chosen in (t := running.log.read_text()) and t), "the log has it"
        assert chosen not in said + running.get("/healthz")[1] + running.get("/metrics")[1]


def test_the_probes_do_not_repeat_what_postgresql_says(
    worker: Callable[..., Worker], person: psycopg.Connection
) -> None:
    running = worker()
    eventually(lambda: running.get("/readyz")[0] == 200)
    person.execute("ALTER TABLE search_outbox_events RENAME TO elsewhere")
    said = eventually(lambda: "database" in (b := running.get("/readyz")[1]) and b)
    assert "schema" in said
    assert "relation" not in said
    person.execute("ALTER TABLE elsewhere RENAME TO search_outbox_events")
    eventually(lambda: running.get("/readyz")[0] == 200)
    with person.transaction():
        person.execute("LOCK TABLE search_outbox_events")
        said = eventually(lambda: "is locked by" in (b := running.get("/readyz")[1]) and b)
    assert str(person.info.backend_pid) in said
    assert "chosen" not in said


@pytest.mark.no_servers
def test_evidence_keeps_no_secret_of_a_log_line(tmp_path: Path) -> None:
    with patch.object(redaction, "_known", ()):
        redaction.add_secret(CANARY)
        redaction.add_login("elastic", CANARY)
        key = "a2V5LWlkOmtleS12YWx1ZQ=="
        lines = f"sent Authorization: ApiKey {key}\nELASTIC_PASSWORD={CANARY}\n{CANARY}!\n".encode()
        (tmp_path / "run" / "bad-op").mkdir(parents=True)
        log = tmp_path / "run" / "bad-op" / "worker-w1.log"
        # Of a long log its beginning and its end are kept: a secret lies across each cut.
        first = lines + b"x" * (HALF_LOG - 6 - len(lines)) + CANARY.encode()
        last = CANARY.encode() + b"x" * (HALF_LOG - len(CANARY) + 6)
        log.write_bytes(first + b"x" * HALF_LOG + last)
        folder = EvidenceFolder(tmp_path / "run")
        told = record(text=f"a worker said {CANARY}", logs=["worker-w1.log"])
        folder.begin([told.lab])
        folder.add(told)
        folder.finish({})
        for path in filter(Path.is_file, (tmp_path / "run").rglob("*")):
            text = path.read_text()
            assert key not in text, path
            assert not re.search("c4n|coal", text), path

"""Canaries in every setting and URL, in hostile encodings, through every command: none comes out again."""

import json
from base64 import b64encode
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote, quote_plus
from zlib import crc32

import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from acceptance import lab
from fakes import Script, fake_sink
from fakes.collector import collector, instrumented
from fakes.faults import answered
from operations.every_command import EVENT, OTHERS, READING, WHO, haunt
from processes import Worker, environment, eventually, piped
from servers import Servers

CANARY = "c4nary"  # at the beginning of every secret: what is left of one that was cut shows, too
AWAY = "127.0.0.1:1"
DATABASE = (
    f"postgresql://u:{{}}@{AWAY}/app",
    "postgresql://u:{}@[::1/app",
    f"postgresql://u:%zz{{}}@{AWAY}/app",
    f"postgres://u@{AWAY}/app?password={{}}&sslpassword={{}}",
    "postgresql://u:{}@127.0.0.1:{}/app",
    "mysql://u:{}@h/d",
    "host=127.0.0.1 port=1 password={}",
    "u:{}@h",
)
SINK = (
    f"http://u:{{}}@{AWAY}",
    "http://u:{}@[::1",
    "http://u:{}@127.0.0.1:{}",
    f"http://u:{{}}@{AWAY},http://v:{{}}@127.0.0.1:2",
    "http://127.0.0.1:1/?api_key={}",
    "ftp://u:{}@h",
)
PLAIN = ("ELASTIC_API_KEY", "ELASTIC_PASSWORD", "PGPASSWORD")
HOSTILE = st.text(st.sampled_from("%[]@/:?#&=+,; '\"\\<>\u202eéab1"), max_size=6)
SECRETS = st.builds(lambda first, last: f"{CANARY}{first}x{last}y-{CANARY}", HOSTILE, HOSTILE)


def fully(text: str) -> str:
    return quote(text, safe="")


WRITTEN: st.SearchStrategy[Callable[[str], str]] = st.sampled_from([fully, quote_plus, str])
# These start servers or wait for somebody before they read a setting that may hold a secret, or do neither.
NOT_TRIED = {"demo", "services up", "services down", "lab run", "chaos proxy"}
WITH = {
    "inject event": ("--op", "upsert"),
    "lab report": ("no-such-folder",),
    "failed undo": ("1", *WHO),
    "worker": ("--drain",),
}


@dataclass(frozen=True)
class Placed:
    """Secrets in settings: by flag, variable, `.env` or file."""

    flags: Mapping[str, str] = field(default_factory=dict)
    variables: Mapping[str, str] = field(default_factory=dict)
    dotenv: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, str] = field(default_factory=dict)
    secrets: tuple[str, ...] = ()


@st.composite
def placed(draw: st.DrawFn) -> Placed:
    """Every setting that may hold a secret, each in one of its places."""
    places: dict[str, dict[str, str]] = {"flags": {}, "variables": {}, "dotenv": {}, "files": {}}
    secrets = []
    for name, forms in (
        ("DATABASE_URL", DATABASE),
        ("ELASTIC_URL", SINK),
        *((each, ("{}",)) for each in PLAIN),
    ):
        secret = draw(SECRETS)
        written = draw(WRITTEN)(secret) if name.endswith("URL") else secret
        value = draw(st.sampled_from(forms)).replace("{}", written)
        where = ["variables", "dotenv", "files", *(["flags"] if name.endswith("URL") else [])]
        place = "variables" if name == "PGPASSWORD" else draw(st.sampled_from(where))
        places[place][name] = value
        secrets.append(secret)
    return Placed(**places, secrets=tuple(secrets))


def said(folder: Path, env: Mapping[str, str], *args: str) -> str:
    """Everything that a command puts out."""
    process = piped(args, environment(**env), folder)
    try:
        return "".join(process.communicate(timeout=60))
    finally:
        process.kill()


def arranged(folder: Path, given_: Placed) -> dict[str, str]:
    """The environment, and the files that it names."""
    quoted = {name: value.replace("\\", "\\\\").replace('"', '\\"') for name, value in given_.dotenv.items()}
    (folder / ".env").write_text("".join(f'{name}="{value}"\n' for name, value in quoted.items()))
    for name, value in given_.files.items():
        (folder / name).write_text(value + "\n")
    named = {f"{name}_FILE": str(folder / name) for name in given_.files}
    return {
        "OUTBOXCTL_STATE": str(folder / "state"),
        "OUTBOXCTL_DEBUG": "1",
        "ELASTIC_USERNAME": "u",
        **given_.variables,
        **named,
    }


def leaks(text: str, secrets: tuple[str, ...]) -> bool:
    hidden = [b64encode(f"{user}{s}".encode()).decode()[:16] for s in secrets for user in ("", "u:", "v:")]
    return CANARY in text or any(each in text for each in hidden)


@pytest.mark.no_servers
@pytest.mark.parametrize("path", sorted({*READING, *OTHERS} - NOT_TRIED))
def test_no_command_lets_a_canary_out(path: str, tmp_path: Path) -> None:
    simplest: list[Placed] = []
    args = [*path.split(), *READING.get(path, WITH.get(path, ()))]

    @seed(crc32(path.encode()))
    @settings(max_examples=2, database=None, phases=[Phase.generate], suppress_health_check=list(HealthCheck))
    @given(placed())
    def tried(given_: Placed) -> None:
        if not simplest:  # what hypothesis begins with, for every command the same
            simplest.append(given_)
            return
        flags = [f"--{name.lower().replace('_', '-')}={value}" for name, value in given_.flags.items()]
        text = said(tmp_path, arranged(tmp_path, given_), *flags, *args)
        assert not leaks(text, given_.secrets), text

    tried()


@pytest.mark.slow(reason="runs every command that reads")
def test_nothing_that_reads_real_servers_lets_a_canary_out(
    sql: lab.Sql, env: dict[str, str], servers: Servers, tmp_path: Path
) -> None:
    """A sink that repeats the login, a row that a worker of an older release wrote."""
    secret = f"{CANARY}/of the%coal\"mine'{CANARY}"
    haunt(sql)
    told = f"a\u202e {secret} {quote(secret, safe='')}"
    sql.execute("UPDATE search_outbox_events SET error = %s, last_replayed_reason = %s", [told, told])
    login = b64encode(f"u:{secret}".encode()).decode()
    body = json.dumps({"error": {"type": "security_exception", "reason": f"{told} Basic {login}"}}).encode()
    script = Script.always(answered(401, body))
    script.lookups = answered(401, body)
    with fake_sink(script, upstream=servers.sink) as sink:
        own = env | {
            "ELASTIC_URL": sink.url.replace("http://", f"http://u:{quote(secret, safe='')}@"),
            "DATABASE_URL": f"{env['DATABASE_URL']}?sslpassword={quote(secret, safe='')}",
            "OUTBOXCTL_DEBUG": "1",
        }
        for path, more in READING.items():
            text = said(tmp_path, own, *path.split(), *more, "--json")
            assert not leaks(text, (secret,)), (path, text)
        for command in (("failed", "show", str(EVENT)), ("status",), ("report",)):
            assert not leaks(said(tmp_path, own, *command), (secret,)), command


def test_nothing_of_a_worker_lets_a_canary_out(
    sql: lab.Sql, worker: Callable[..., Worker], servers: Servers, tmp_path: Path
) -> None:
    """Log, rows, probes, metrics, spans."""
    secret = f"{CANARY}-in-the-coal+mine/{CANARY}"
    (tmp_path / "secret").write_text(secret)
    login = b64encode(f"u:{secret}".encode()).decode()
    body = json.dumps({"error": {"type": "security_exception", "reason": f"{'x' * 480}{secret} {login}"}})
    lab.load(sql, 3)
    with (
        collector() as there,
        fake_sink(Script.always(answered(401, body.encode())), upstream=servers.sink) as sink,
    ):
        running = worker(
            ELASTIC_URL=sink.url,
            ELASTIC_USERNAME="u",
            ELASTIC_PASSWORD_FILE=str(tmp_path / "secret"),
            **instrumented(tmp_path, there.url),
            OUTBOX_BASE_BACKOFF_SECONDS="0.05",
        )
        eventually(lambda: "auth" in str(lab.rows(sql)) and there.spans)
        seen = "".join(running.get(each)[1] for each in ("/readyz", "/healthz", "/metrics"))
        running.signal()
        assert running.wait() == 0
    assert there.raw
    text = seen + running.log.read_text() + str(lab.rows(sql)) + str(there.spans)
    assert not leaks(text, (secret,)), text

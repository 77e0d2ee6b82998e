"""A real PgBouncer in transaction mode: the machine's own, else Debian's package unpacked into a cache."""

import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import SplitResult, unquote, urlsplit, urlunsplit

from outboxctl.drills import services
from outboxctl.drills.services import place
from processes import eventually

CACHE = Path(__file__).parents[1] / ".outboxctl" / "pgbouncer"
PACKAGES = ("pgbouncer", "libevent-2.1-7", "libc-ares2")
SBIN = "/usr/sbin:/usr/local/sbin"  # on root's PATH only
CONFIG = """\
[databases]
* = host={host} port={port} user={user} password='{password}'
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {listen}
unix_socket_dir =
auth_type = any
pool_mode = transaction
default_pool_size = {size}
{more}
"""


def available() -> bool:
    """Whether there is one, or a package of it to be had."""
    with suppress(OSError, subprocess.SubprocessError):
        return _program().exists()
    return False


@contextmanager
def pgbouncer(url: str, *, size: int) -> Iterator[str]:
    """The URL through a PgBouncer that shares `size` connections among all its clients."""
    with tempfile.TemporaryDirectory(prefix="outboxctl-") as folder:
        home, listen = Path(folder), services.fresh_port()
        process = _start(home, urlsplit(url), listen, size)
        try:
            eventually(lambda: _answers(listen), what="PgBouncer answers")
            user = urlsplit(url).netloc.rpartition("@")[0]
            yield urlunsplit(urlsplit(url)._replace(netloc=f"{user}@127.0.0.1:{listen}"))
        finally:
            process.kill()
            process.wait()


def _start(home: Path, upstream: SplitResult, listen: int, size: int) -> subprocess.Popen[bytes]:
    """It refuses root, as PostgreSQL does, so it runs as the same user, from a folder of that user's."""
    program = str(shutil.copy(_program(), home))
    for library in CACHE.glob("usr/lib/*/lib*.so*"):
        shutil.copy(library, home)
    config = home / "pgbouncer.ini"
    config.write_text(_config(program, upstream, listen, size))
    place.own(home)
    with (home / "log").open("wb") as log:
        env = os.environ | {"LD_LIBRARY_PATH": str(home)}
        command = [program, str(config)]
        return subprocess.Popen(command, cwd=home, env=env, stdout=log, stderr=log, **place.account())


def _config(program: str, upstream: SplitResult, listen: int, size: int) -> str:
    knows = b"max_prepared_statements" in Path(program).read_bytes()  # since 1.21
    return CONFIG.format(
        host=upstream.hostname,
        port=upstream.port,
        user=unquote(upstream.username or ""),
        password=unquote(upstream.password or ""),
        listen=listen,
        size=size,
        more="max_prepared_statements = 0" if knows else "",
    )


def _program() -> Path:
    own = shutil.which("pgbouncer", path=f"{os.environ.get('PATH', '')}:{SBIN}")
    if own:
        return Path(own)
    unpacked = CACHE / "usr" / "sbin" / "pgbouncer"
    if not unpacked.exists():
        _unpack()
    return unpacked


def _unpack() -> None:
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(
            ["apt-get", "download", *PACKAGES], cwd=folder, check=True, capture_output=True, timeout=60
        )
        CACHE.mkdir(parents=True, exist_ok=True)
        for package in Path(folder).glob("*.deb"):
            subprocess.run(["dpkg-deb", "-x", str(package), str(CACHE)], check=True, timeout=60)


def _answers(port: int) -> bool:
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False

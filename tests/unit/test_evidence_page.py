"""The report's page in a real browser: from disk, without a network, its charts are seen."""

import shutil
import struct
import subprocess
import zlib
from collections import Counter

import pytest

from drilled import record, run
from outboxctl.drills.labs.evidence import EvidenceFolder
from outboxctl.drills.labs.model import LabVerdict

BROWSER = next(
    (path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name))), None
)
pytestmark = [pytest.mark.no_servers, pytest.mark.skipif(BROWSER is None, reason="no Chromium here")]
WIDTH, HEIGHT = 700, 1100
# As the style sheet mixes them with white: pending, the same in a fault's window, done, a check not met.
PENDING, SHADED, DONE, FAILED = (227, 174, 60), (224, 161, 59), (132, 204, 168), (251, 229, 227)


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> Counter[bytes]:
    """How often each colour is on the screen, by its three bytes."""
    folder = EvidenceFolder(tmp_path_factory.mktemp("page") / "run")
    folder.begin(["bad-op"])
    folder.add(record(verdict=LabVerdict.FAIL))
    folder.finish(run([record(verdict=LabVerdict.FAIL)]))
    picture = folder.path / "page.png"
    subprocess.run(
        [
            str(BROWSER),
            "--headless=new",
            "--no-sandbox",
            "--disable-gpu",
            "--hide-scrollbars",
            "--force-device-scale-factor=1",
            "--proxy-server=127.0.0.1:9",
            f"--user-data-dir={folder.path / 'profile'}",
            f"--window-size={WIDTH},{HEIGHT}",
            f"--screenshot={picture}",
            f"file://{folder.path / 'report.html'}",
        ],
        check=True,
        capture_output=True,
        timeout=60,
    )
    return colours(picture.read_bytes())


def test_the_charts_the_fault_and_the_verdict_are_seen(seen: Counter[bytes]) -> None:
    shown = {colour: near(seen, colour) for colour in (PENDING, SHADED, DONE, FAILED)}
    assert all(count > 1_000 for count in shown.values()), shown


def near(seen: Counter[bytes], colour: tuple[int, int, int]) -> int:
    """Pixels of about this colour."""
    return sum(n for c, n in seen.items() if all(abs(a - b) <= 4 for a, b in zip(c, colour, strict=True)))


def colours(png: bytes) -> Counter[bytes]:
    """The pixels of a PNG of 8 bits a channel, undone line by line from its filters."""
    width, _, depth, kind = struct.unpack(">IIBB", png[16:26])
    assert (depth, kind) in {(8, 2), (8, 6)}
    channels = 3 if kind == 2 else 4
    data, before, seen = zlib.decompress(_chunks(png)), bytearray(width * channels), Counter[bytes]()
    for start in range(0, len(data), width * channels + 1):
        line = bytearray(data[start + 1 : start + 1 + width * channels])
        _undo(data[start], line, before, channels)
        seen.update(bytes(line[at : at + 3]) for at in range(0, len(line), channels))
        before = line
    return seen


def _chunks(png: bytes) -> bytes:
    at, found = 8, b""
    while at < len(png):
        size, name = struct.unpack(">I4s", png[at : at + 8])
        found += png[at + 8 : at + 8 + size] if name == b"IDAT" else b""
        at += size + 12
    return found


def _undo(kind: int, line: bytearray, above: bytearray, step: int) -> None:
    for at in range(len(line)):
        left, up = line[at - step] if at >= step else 0, above[at]
        corner = above[at - step] if at >= step else 0
        line[at] = (line[at] + (0, left, up, (left + up) // 2, _paeth(left, up, corner))[kind]) % 256


def _paeth(left: int, up: int, corner: int) -> int:
    guess = left + up - corner
    return min((left, up, corner), key=lambda each: abs(guess - each))

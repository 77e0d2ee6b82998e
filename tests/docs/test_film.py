"""A recording as an SVG shows each line when it was there, and ends on what the command left."""

import re
from xml.etree import ElementTree as ET

import pytest
from tools.readme_pictures.film import HOLD, film
from tools.readme_pictures.names import LONGEST
from tools.readme_pictures.recorded import Write
from tools.readme_pictures.themes import LIGHT

pytestmark = pytest.mark.no_servers
SVG = "{http://www.w3.org/2000/svg}"
PROGRESS = [
    Write(0.0, b"$ make demo\r\n"),
    Write(1.0, b"\x1b[1mProduce\x1b[0m  1 of 9"),
    Write(4.0, b"\r\x1b[2K\x1b[1mProduce\x1b[0m  9 rows\r\n"),
    Write(8.0, b"the end\r\n"),
]


def parts(text: str) -> dict[str, tuple[str, str]]:
    """The classes and the keyframes of each part, by its words."""
    rules = dict(re.findall(r"@keyframes (r\d+)\{(.*)\}$", text, re.MULTILINE))
    found = {}
    for group in ET.fromstring(text).iter(f"{SVG}g"):  # noqa: S314 - our own
        if "part" in (group.get("class") or ""):
            name = (group.get("style") or "").removeprefix("animation-name:")
            found[" ".join(group.itertext())] = (group.get("class") or "", rules[name])
    return found


def test_a_line_that_was_written_anew_is_shown_until_then() -> None:
    seen = parts(film("make demo", PROGRESS, 40, 10, LIGHT))
    assert set(seen) == {"$ make demo", "Produce 1 of 9", "Produce 9 rows", "the end"}
    end = 8.0 + HOLD
    classes, frames = seen["Produce 1 of 9"]
    assert classes == "part gone", "who sees no animation must not see it"
    hidden, shown, gone = re.findall(r"([\d.]+)%\{visibility:(\w+)\}", frames)
    assert (hidden[1], shown[1], gone[1]) == ("hidden", "visible", "hidden")
    assert 0.6 <= float(shown[0]) / 100 * end <= 1.0
    assert 3.6 <= float(gone[0]) / 100 * end <= 4.0
    classes, frames = seen["the end"]
    assert classes == "part", "who sees no animation sees it"
    assert frames.endswith("{visibility:visible}")


def test_what_is_longer_than_the_window_scrolls_up() -> None:
    lines = [Write(float(n), f"line {n}\r\n".encode()) for n in range(10)]
    text = film("make demo", lines, 40, 4, LIGHT)
    (rule,) = re.findall(r"@keyframes scroll\{(.*)\}</style>", text)
    tops = [int(top) for top in re.findall(r"translateY\(-(\d+)px\)", rule)]
    assert tops == sorted(tops)
    assert tops[0] == 0
    assert len(set(tops)) == 8
    (bottom,) = re.findall(r"\.page \{ transform: translateY\(-(\d+)px\)", text)
    assert int(bottom) == tops[-1], "who sees no animation sees the end"


def test_a_long_recording_is_played_faster_and_says_so() -> None:
    slow = [Write(each.at * 20, each.text) for each in PROGRESS]
    text = film("make demo", slow, 40, 10, LIGHT)
    assert f"animation: {LONGEST:.1f}s" in text
    assert "make demo (3.1 times as fast)" in text


def test_hostile_text_stays_text() -> None:
    text = film("<b>", [Write(0.0, b'<script>alert(1)</script> & "x"\r\n')], 40, 10, LIGHT)
    assert "<script>" not in text
    root = ET.fromstring(text)  # noqa: S314 - our own
    assert '<script>alert(1)</script> & "x"' in "".join(root.itertext())

"""What a benchmark says of its figures, and the picture of them."""

import re
import xml.etree.ElementTree as ET
from dataclasses import replace
from importlib.metadata import requires

import pytest

from outboxctl.drills.bench.figure import BenchFigure, picture, table
from outboxctl.drills.bench.lanes import Drained
from outboxctl.drills.bench.machine import LIBRARIES
from outboxctl.drills.bench.measured import BenchOptions, Cell, Measured
from outboxctl.drills.bench.process import EndToEnd, ProcessRun
from outboxctl.drills.bench.report import advise

pytestmark = pytest.mark.no_servers
CELL = Cell(3, 1_000)
IDLE = ProcessRun(0.5, 0.3, 0.01, 0.0, 80.0, 0.0)


def measured(
    s: float, p: float, e: float, *, shared: bool = True, others: float = 0.0, busy: float = 0.0
) -> Measured:
    ran = ProcessRun(1.0, 0.3 + 0.01, 0.01 + 0.02, 0.03, 90.0, 0.0)
    m = Measured(BenchOptions(1_000, 600, 1, [CELL]), shared, ["postgres"], CELL)
    m.s.append({1: s / 2, 2: s})
    m.p.append(Drained(p, 9.0, 5.0, 4.0))
    m.e.append(EndToEnd(e, ran, replace(IDLE, postgres=IDLE.postgres + busy), 0.1))
    m.others.append(others)
    return m


def test_the_bound_is_harmonic_only_where_the_cores_are_shared() -> None:
    assert measured(60, 30, 10).bound == [pytest.approx(20)]
    assert measured(60, 30, 10, shared=False).bound == [30]


def test_cpu_an_event_is_without_the_start_and_only_of_what_was_seen() -> None:
    figures = measured(60, 30, 10).figures()
    assert figures["worker_cpu"].values == [pytest.approx(10)]
    assert figures["postgres_cpu"].values == [pytest.approx(20)]
    assert "engine_cpu" not in figures


@pytest.mark.parametrize(
    ("m", "text"),
    [
        (measured(60, 30, 19), "the database costs the most"),
        (measured(30, 60, 19), "the sink costs the most"),
        (
            measured(60, 30, 29, shared=False),
            "The limit is the database: more lanes or workers will not help",
        ),
        (
            measured(60, 30, 11, shared=False),
            "--concurrency 3,4,6 --bulk-size 1000,2000; then start 3 workers",
        ),
        (measured(60, 30, 29), "some cores were free"),
        (measured(60, 30, 19, busy=1.0), "CPU below 0 is none: take more --events"),
        (measured(60, 30, 19, others=0.6), "Others took 0.6 of this machine's cores"),
    ],
)
def test_the_advice_names_the_limit_and_what_to_change(m: Measured, text: str) -> None:
    assert text in " ".join(advise(m))


def test_a_short_run_says_how_much_of_it_is_the_worker_s_start() -> None:
    m = measured(60, 30, 20)
    assert "start" not in " ".join(advise(m))
    m.e = [replace(m.e[0], start=10.0)]
    assert "20% of E's time is the worker's start" in " ".join(advise(m))


def test_of_settings_that_are_as_good_the_cheapest_is_the_best() -> None:
    m = measured(60, 30, 19)
    m.matrix = {Cell(4, 500): [100.0], Cell(2, 500): [98.0], Cell(2, 250): [99.0], Cell(1, 500): [90.0]}
    assert m.choose() == Cell(2, 250)


def test_a_table_leaves_out_what_nobody_fills() -> None:
    plain, judged = BenchFigure("rate", "/s", [1.0]), BenchFigure("time", "s", [1.0], 2.0)
    assert table([plain]).splitlines()[0].split() == ["|", "figure", "|", "median", "|", "spread", "|"]
    assert "verdict" in table([plain, judged])


@pytest.mark.parametrize(
    "rates", [{}, {"engine": BenchFigure("S <b>&\x1b[31m", "events/s", [1.0, 3.0, 2.0])}]
)
def test_a_picture_is_well_formed_whatever_it_is_told(rates: dict[str, BenchFigure]) -> None:
    costs = {"worker": BenchFigure("w", "us/event", [-1.0]), "postgres": BenchFigure("p", "us/event", [3.0])}
    drawn = picture("</svg><script>", rates, costs, ["</text> " * 60])
    root = ET.fromstring(drawn)  # noqa: S314 - our own
    assert not root.findall(".//{*}script")
    bars = root.findall(".//{*}rect[@class='postgres']")
    assert float(bars[0].get("width", "")) == 430  # all of it: less than nothing is nothing
    assert ("S <b>&\\x1b[31m" in "".join(root.itertext())) == bool(rates)


def test_the_libraries_whose_versions_are_reported_are_installed_with_the_package() -> None:
    declared = {re.split(r"[\[<>=;! ]", each)[0].lower() for each in requires("outboxctl") or []}
    assert {name.lower() for name in LIBRARIES.values()} <= declared | {"outboxctl"}
    extras = {re.split(r"[\[<>=;! ]", each)[0] for each in requires("outboxctl") or [] if "extra ==" in each}
    assert not extras & set(LIBRARIES.values())

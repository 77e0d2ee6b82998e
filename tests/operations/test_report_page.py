"""The report: what it says in peace, in a disaster and in an outage; and how it looks in a browser."""

import json
from html.parser import HTMLParser
from pathlib import Path

import pytest

from acceptance import lab
from operations.every_command import EVENTS, RAW, haunt
from processes import Cli
from scene import Scene

SCHEMA = Path(__file__).parents[2] / "docs" / "reference" / "report.schema.json"
DISASTER = (
    """
    INSERT INTO search_outbox_events (entity_type, entity_id, op, status, error_reason, error, attempts)
    SELECT 'block', gen_random_uuid(), 'upsert', 'failed', 'mapping', 'failed to parse ' || n %% 30, 10
    FROM generate_series(1, 60) n
    """,
    """
    INSERT INTO search_outbox_events
        (entity_type, entity_id, op, status, error_reason, created_at, next_retry_at, attempts)
    SELECT 'block', gen_random_uuid(), 'upsert', 'pending', 'connect', now() - interval '2 hours',
        now() + interval '1 hour', 3 FROM generate_series(1, 40)
    """,
    """
    INSERT INTO search_outbox_events (entity_type, entity_id, op, status, error_reason, error)
    SELECT 'block', gen_random_uuid(), 'upsert', 'failed', '<script>alert(1)</script>',
        repeat('<img src=http://evil.example/x>', 200000)
    """,
    """
    INSERT INTO outbox_workers
    SELECT gen_random_uuid(), 'w' || repeat('x', 119), repeat('h', 200), 1, '0.1.0', now(),
        now() - interval '1 hour' * n, 7, 'hold', true, 1, 1 FROM generate_series(0, 60) n
    """,
    """
    INSERT INTO search_outbox_events (entity_type, entity_id, op, status, error_reason, error)
    VALUES ('block', gen_random_uuid(), 'upsert', 'failed', 'connect', 'no way to https://elastic:geheim@es.example/')
    """,
    """
    UPDATE search_outbox_events SET processing_started_at = now() - interval '1 hour'
    WHERE status = 'processing'
    """,
)
LOADING = {"src", "href", "srcset", "data", "action"}
LOADING |= {"formaction", "poster", "background", "ping", "xlink:href"}


class Page(HTMLParser):
    """Texts, tags and attributes of a page, as a browser would see them."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: dict[str, list[str]] = {}
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        for name, value in attrs:
            self.attributes.setdefault(name, []).append(value or "")

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.fixture
def disaster(scene: Scene) -> None:
    """Everything that can be bad, with hostile text wherever there is text."""
    haunt(scene.sql)
    for statement in DISASTER:
        scene.sql.execute(statement.replace("%%", "%"))


@pytest.mark.slow(reason="reads the page as a browser does")
def test_a_healthy_outbox_says_so(cli: Cli, scene: Scene) -> None:
    scene.load(300)
    cli.ok("worker", "--drain")
    said = Page(cli.ok("report")).text
    assert "Nothing is beyond a limit." in said
    assert "Of 200 entities picked at random none differ" in said
    assert "PostgreSQL" in said
    from jsonschema import validate  # it takes seconds to load

    facts = cli.json("report")
    assert (facts["state"], facts["findings"], facts["missing"]) == ("OK", [], {})
    assert facts["standing"]["status"]["done"] == 300
    validate(facts, json.loads(SCHEMA.read_text()))
    assert (facts["drift"], facts["causes"]) == ({"sampled": 200, "differing": [], "problems": []}, [])


@pytest.mark.usefixtures("disaster")
def test_a_disaster_is_shown_first_with_what_to_run_and_nothing_is_changed(cli: Cli, scene: Scene) -> None:
    before = lab.state(scene.sql)
    said = Page(cli.ok("report")).text
    for finding in cli.json("report")["findings"]:
        if not finding.startswith(("oldest", "in_vain")):  # they grow older between the two
            assert said.replace("\n", " ").index(finding) < said.index("Lag:")
    for told in (
        "mapping",
        "failed to parse N",
        "connect",
        "gone",
        "circuit open",
        "(50 of 62)",
        str(EVENTS["processing"]),
    ):
        assert told in said, told
    assert lab.state(scene.sql) == before


@pytest.mark.usefixtures("disaster")
def test_hostile_text_is_text_and_short_and_nothing_is_loaded_from_elsewhere(cli: Cli) -> None:
    text = cli.ok("report")
    page = Page(text)
    assert len(text) < 150_000, "an error of 6 MB is cut"
    assert not any(raw in text for raw in RAW)
    assert "<script>alert(1)</script>" in page.text
    assert "no way to URL" in page.text
    assert "geheim" not in text
    assert not {"script", "img", "iframe", "object", "embed", "link", "base", "form", "red"} & set(page.tags)
    assert not LOADING & set(page.attributes), "a page that is sent on must not call home"
    assert not [name for name in page.attributes if name.startswith("on")]
    assert not any(
        "url(" in style for style in [text.partition("</style>")[0], *page.attributes.get("style", [])]
    )
    assert "default-src 'none'" in page.attributes["content"][0]


def test_in_an_outage_of_the_sink_the_page_comes_all_the_same(cli: Cli, scene: Scene) -> None:
    scene.load(3)
    away = {"ELASTIC_URL": "http://elastic:geheim@127.0.0.1:9"}
    done = cli("report", env=away)
    assert done.returncode == 3
    said = Page(done.stdout).text
    assert "Missing: sink: connect" in said
    assert done.stderr.startswith("left out: sink: connect")
    assert "C  Oldest pending" in said
    assert "geheim" not in done.stdout + done.stderr
    told = cli("report", "--json", env=away)
    assert told.returncode == 3
    assert json.loads(told.stdout)["standing"]["lag"] == 3


def test_an_index_that_cannot_be_compared_costs_the_page_nothing_else(cli: Cli, scene: Scene) -> None:
    alias, other = cli.env["ELASTIC_INDEX"], f"{cli.env['ELASTIC_INDEX']}-other"
    scene.engine.indices.create(index=other)
    scene.engine.indices.update_aliases(actions=[{"add": {"index": other, "alias": alias}}])
    done = cli("report")
    assert "left out: drift" in done.stderr
    assert "Nothing is beyond a limit." in Page(done.stdout).text

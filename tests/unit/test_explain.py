"""`explain`: every word that outboxctl shows has a meaning, and is found as a person types it."""

import json
from pathlib import Path

import pytest

from outboxctl.domain.errors import UsageError
from outboxctl.domain.failures import Noop, Reason
from outboxctl.metrics.alerts.queries import AlertLimits
from outboxctl.metrics.alerts.rules import alerts
from outboxctl.metrics.registry import Metrics
from outboxctl.operations.doctor.examination import catalogue
from outboxctl.operations.explain import WordKind, find, names
from outboxctl.settings import all_names
from processes import Cli, environment

pytestmark = pytest.mark.no_servers
EVERY = [
    *Reason,
    *Noop,
    *(name for name, *_ in Metrics().families()),
    *(alert.name for alert in alerts(AlertLimits())),
    *catalogue(),
]


def test_every_word_that_an_operator_meets_is_explained() -> None:
    for name in EVERY:
        word = find(name)
        assert word.name == name
        assert len(word.meaning) > 15
        assert word.docs.startswith("https://")


def test_every_setting_is_explained() -> None:
    files = {name for name in all_names() if name.endswith("_FILE")}
    assert all_names() - files == set(names()[WordKind.SETTING])


@pytest.mark.parametrize(
    ("typed", "found"),
    [
        ("outboxstuck", "OutboxStuck"),
        (" Index_Unavailable ", "index_unavailable"),
        ("outbox_es_bulk_request_bytes_bucket", "outbox_es_bulk_request_bytes"),
        ("outbox_bulk_size", "OUTBOX_BULK_SIZE"),
    ],
)
def test_it_is_found_as_it_is_typed(typed: str, found: str) -> None:
    assert find(typed).name == found


def test_an_unknown_word_is_refused_with_similar_ones() -> None:
    with pytest.raises(UsageError, match="no word of outboxctl: 'OutboxStuk'") as refused:
        find("OutboxStuk")
    assert "OutboxStuck" in refused.value.hint


def test_hostile_text_is_refused_without_harm() -> None:
    with pytest.raises(UsageError) as refused:
        find("\x1b[31m[/nope]" + "x" * 1_000_000)
    assert "\x1b" not in str(refused.value)
    assert len(str(refused.value)) < 200


def test_the_command_needs_no_server(tmp_path: Path) -> None:
    cli = Cli(environment(), tmp_path)
    assert "First: `outboxctl doctor --only sink`" in cli("explain", "auth").stdout
    word = json.loads(cli("explain", "OutboxStuck", "--json").stdout)["word"]
    assert word["kind"] == "alert"
    assert word["meaning"].startswith("Events are `processing`"), "the section of the runbook"
    assert word["first"] == next(each.first for each in alerts(AlertLimits()) if each.name == "OutboxStuck")
    assert "outboxctl stuck" in word["meaning"]
    listed = json.loads(cli("explain", "--json").stdout)["words"]
    assert set(listed) == {*WordKind}
    assert "mapping" in listed["reason"]
    assert cli("explain", "nosuch").returncode == 2

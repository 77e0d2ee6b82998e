"""What docs/contract.md promises stays: a name that goes or changes its type fails here."""

import re

import pytest
from tools import contract, contract_page, json_shapes

pytestmark = pytest.mark.no_servers
GONE = """
What scripts rely on is gone, or is something else. Keep it, and deprecate it first: "Deprecation" in
docs/contract.md.
In a major version whose changelog says so, take it out of docs/contract/names.json by hand.
"""


def test_nothing_that_was_promised_is_gone_or_changed() -> None:
    kept, now = contract.promised(), contract.current()
    # Those without a schema are held by tests/operations/test_json_contract.py.
    kept["json"] = {name: kept["json"][name] for name in now["json"]}
    assert not (lost := list(contract.broken(kept, now))), GONE + "\n".join(lost)


def test_every_name_that_is_promised_stands_on_the_page() -> None:
    page = contract_page.page()
    inside = {"json", "commands"}  # of these the page has those at the top, and no choices
    names = {
        name
        for section, groups in contract.promised().items()
        for group, named in groups.items()
        for name in [group, *(named if section not in inside else [])]
    }
    named = {name for flags in contract.promised()["commands"].values() for name in flags if " " not in name}
    missing = {name for name in names | named if name and name.lstrip("$") not in page}
    assert missing == set()


def test_a_name_is_in_the_promise_once_it_is_there() -> None:
    assert contract.PROMISED.read_text() == contract.text(), "run `make docs`"


KEPT: contract.Names = {"settings": {"": {"OUTBOX_A": "integer", "OUTBOX_B": "text"}}, "metrics": {"": {}}}
NOW: contract.Names = {"settings": {"": {"OUTBOX_B": "number", "OUTBOX_C": "text"}}}


def test_what_goes_and_what_changes_is_said_and_what_is_new_is_not() -> None:
    assert list(contract.broken(KEPT, NOW)) == [
        "settings: OUTBOX_A was 'integer' and is gone",
        "settings: OUTBOX_B was 'text' and is 'number'",
    ]


def test_writing_the_pages_takes_no_promise_away() -> None:
    both = contract.together(KEPT, NOW)
    assert both["settings"][""] == {"OUTBOX_A": "integer", "OUTBOX_B": "text", "OUTBOX_C": "text"}
    assert not set(re.findall(r"OUTBOX_\w", contract.dumped(KEPT))) - set(KEPT["settings"][""])


SHAPE = {"events": "array", "events[]": "object", "events[].id": "string", "by": "object", "by.*": "integer"}


def test_a_document_is_held_name_by_name() -> None:
    document = {"events": [{"id": "a"}, {"id": None}], "by": {"mapping": 1}}
    assert json_shapes.of_document(document, SHAPE) == SHAPE | {"events[].id": "null|string"}
    assert json_shapes.lacking(document, SHAPE) == set()
    assert json_shapes.lacking({"events": [{"other": 1}]}, SHAPE) == {"by", "events[].id"}
    assert json_shapes.lacking({"events": [], "by": {}}, SHAPE) == set()


def test_a_schema_has_the_shape_of_its_documents() -> None:
    items = {"type": "array", "items": {"$ref": "#/$defs/Event"}}
    counts = {"anyOf": [{"type": "object", "additionalProperties": {"type": "integer"}}, {"type": "null"}]}
    event = {"type": "object", "properties": {"id": {"type": "string"}}}
    schema = {"$defs": {"Event": event}, "type": "object", "properties": {"events": items, "by": counts}}
    assert json_shapes.of_schema(schema) == SHAPE | {"by": "null|object"}

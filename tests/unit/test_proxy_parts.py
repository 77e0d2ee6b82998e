"""The parts of the fault proxy that need no socket."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outboxctl.cli.chaos import parse_fault
from outboxctl.domain.errors import UsageError
from outboxctl.drills.proxy.faults import ActiveFault, ProxyFault
from outboxctl.drills.proxy.wire import ProxyRequest


@given(st.binary(max_size=200))
def test_a_bulk_body_of_any_bytes_is_read_or_has_no_actions(content: bytes) -> None:
    actions = ProxyRequest("PUT", "/_bulk", {}, content).actions()
    assert b"".join(action.raw for action in actions) in (content, b"")


@given(st.lists(st.booleans(), max_size=50), st.floats(0.01, 0.99))
def test_requests_that_are_not_meant_are_never_struck_and_do_not_change_the_draw(
    bulks: list[bool], share: float
) -> None:
    def struck(sequence: list[bool]) -> list[bool]:
        spell = ActiveFault(ProxyFault("x", share))
        targets = ["/i/_bulk" if bulk else "/i/_mget" for bulk in sequence]
        return [spell.strikes(ProxyRequest("PUT", target, {}, b"")) for target in targets]

    mixed = struck(bulks)
    assert not any(hit for hit, bulk in zip(mixed, bulks, strict=True) if not bulk)
    alone = struck([True] * sum(bulks))
    assert [hit for hit, bulk in zip(mixed, bulks, strict=True) if bulk] == alone


@pytest.mark.parametrize(
    ("text", "flags", "said"),
    [
        ("bussy", {}, "unknown fault 'bussy'"),
        ("\x1b[31m", {}, "unknown fault"),
        ("delay", {}, "--fault delay needs its seconds"),
        ("delay=soon", {}, "not a number"),
        ("busy=-1", {}, "below 0"),
        ("html=1", {}, "--fault html takes no value"),
        ("busy", {"applied": True}, "--applied does not go with --fault busy"),
        ("refuse", {"share": 0.5}, "--share does not go with --fault refuse"),
        (None, {"share": 0.5}, "--share says nothing without --fault"),
    ],
)
def test_what_does_not_fit_is_said(text: str | None, flags: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError, match=said) as error:
        parse_fault(text, **flags)
    assert "\x1b" not in str(error.value)

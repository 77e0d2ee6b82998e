"""The parts of the fault proxy that need no socket."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outboxctl.cli.chaos.proxy_run import chosen
from outboxctl.domain.errors import UsageError
from outboxctl.drills.proxy.faults import ActiveFault, ProxyFault
from outboxctl.drills.proxy.request import ProxyRequest


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
    ("name", "flags", "said", "hint"),
    [
        ("bussy", {}, "unknown fault 'bussy'", "did you mean busy?"),
        ("\x1b[31m", {}, "unknown fault", "one of: refuse"),
        ("delay", {}, "--fault delay needs --seconds", ""),
        ("busy", {"seconds": 1.0}, "--seconds does not go with --fault busy", "--retry-after"),
        ("refuse", {"share": 0.5}, "--share does not go with --fault refuse", "no flags"),
        (None, {"retry_after": 1}, "--retry-after says nothing without --fault", "refuse"),
    ],
)
def test_flags_that_do_not_fit_are_said(
    name: str | None, flags: dict[str, float], said: str, hint: str
) -> None:
    with pytest.raises(UsageError) as error:
        chosen(name, flags)
    assert said in str(error.value)
    assert hint in error.value.hint
    assert "\x1b" not in str(error.value)

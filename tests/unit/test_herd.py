"""How the thundering herd is measured."""

from outboxctl.drills.labs.catalogue.outages import busiest


def test_the_busiest_tenth_of_a_second() -> None:
    assert busiest([]) == 0
    assert busiest([5.0, 1.0, 1.05, 1.09, 1.11, 3.0]) == 3
    assert busiest([2.0] * 4) == 4

"""What `verify` says is to be done next."""

import pytest

from outboxctl.cli.verify.view import _repair_lines
from outboxctl.operations.verify.repair import Repaired

pytestmark = pytest.mark.no_servers


@pytest.mark.parametrize(("compared", "said"), [(False, "run outboxctl verify again"), (True, "see below")])
def test_who_waited_is_not_sent_to_compare_again(compared: bool, said: str) -> None:
    assert said in _repair_lines(Repaired(enqueued=2), compared=compared)[0]

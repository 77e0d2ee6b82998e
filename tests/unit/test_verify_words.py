"""What `verify` says is to be done next."""

import pytest

from outboxctl.cli.drift import _deeds
from outboxctl.verify.deeds import Repaired

pytestmark = pytest.mark.no_servers


@pytest.mark.parametrize(("compared", "said"), [(False, "run outboxctl verify again"), (True, "see below")])
def test_who_waited_is_not_sent_to_compare_again(compared: bool, said: str) -> None:
    assert said in _deeds(Repaired(enqueued=2), compared=compared)[0]

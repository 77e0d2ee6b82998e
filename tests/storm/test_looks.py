"""A look at the ledger's documents counts each older state, also one behind an alias that was moved."""

from contextlib import closing

import pytest

from engines.node import Node
from storm.ledger.looks import LedgerLooks

pytestmark = pytest.mark.no_servers


@pytest.mark.parametrize("index", ["accounts-1", "accounts-2"])
def test_an_account_that_shows_an_older_state_went_back(index: str) -> None:
    with closing(LedgerLooks(Node("http://127.0.0.1:1"), [])) as looks:
        looks.see("accounts", "7", "accounts-1", 2)
        looks.see("accounts", "7", index, 2)
        assert looks.steps_back == []
        looks.see("accounts", "7", index, 1)
        assert [text.partition(": ")[2] for text in looks.steps_back] == ["account 7 from 2 to 1"]

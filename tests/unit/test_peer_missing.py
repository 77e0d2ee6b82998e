import shutil
from contextlib import ExitStack
from types import SimpleNamespace
from typing import Any, cast

import pytest
from benchmarks.peers import __main__ as peers
from benchmarks.peers.measured import Measured

pytestmark = pytest.mark.no_servers


def test_without_redis_the_report_says_so_and_the_rest_is_measured(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    monkeypatch.setattr(shutil, "which", lambda _: None)
    measured = Measured()
    with ExitStack() as stack:
        assert peers._queue(cast("Any", SimpleNamespace(folder=tmp_path)), measured, stack) is None
    assert measured.missing == ["pgsync: not measured: redis-server not found"]

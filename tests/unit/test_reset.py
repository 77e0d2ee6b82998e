"""Where an engine does not run over as others do, nothing is claimed and no empty document is left."""

import json
from typing import Any

import pytest

from outboxctl.domain.errors import UnreachableError
from outboxctl.sink.index.repair import DocumentVersion, Mender
from outboxctl.sink.index.reset import MOST, reset

pytestmark = pytest.mark.no_servers


class Where:
    """A client of which only the address is asked."""

    where = "nowhere"


class Engine(Mender):
    """Holds versions, counts on to the highest and stays there; `said` is what it answers instead."""

    def __init__(self, held: dict[str, int], said: Any = None) -> None:
        super().__init__(Where(), "i")  # type: ignore[arg-type]
        self.held, self.said, self.live = held, said, set[str]()

    def bulk(self, lines: str, *, filter_path: str) -> Any:
        """Each action as an engine would, but for the end of the numbers."""
        assert "_seq_no" in filter_path
        actions = [json.loads(line) for line in lines.splitlines() if line != "{}"]
        return self.said or {"items": [self._one(action) for action in actions]}

    def _one(self, action: dict[str, dict[str, Any]]) -> dict[str, Any]:
        ((verb, head),) = action.items()
        id_ = head["_id"]
        self.held[id_] = head.get("version", min(self.held[id_] + 1, MOST))
        (self.live.add if verb == "create" else self.live.discard)(id_)
        place = {"_version": self.held[id_], "_seq_no": 1, "_primary_term": 1}
        return {verb: {"_id": id_, "status": 200, **place}}


def test_what_was_not_reset_is_not_said_to_be_and_leaves_no_document() -> None:
    engine = Engine({"a": MOST, "b": MOST - 5, "c": 7})
    stuck = [("a", None), ("b", DocumentVersion("b", 1, 1)), ("c", None)]
    assert reset(engine, stuck, above=2**62) == {"c": 9}
    assert engine.live == set()


@pytest.mark.parametrize(
    "said",
    [
        {},
        {"items": []},
        {"items": ["x"]},
        {"items": [{"create": {"_id": "another", "status": 201}}]},
        {"items": [{"create": {"_id": "a", "status": 201}}]},
        {"items": [{"delete": {"_id": "a", "status": 409}}]},
        {"items": [{"create": {"_id": "a", "status": 429, "error": {"type": "x", "reason": "y"}}}]},
    ],
)
def test_what_is_no_answer_is_an_error(said: Any) -> None:
    with pytest.raises(UnreachableError):
        reset(Engine({}, said or {"no": "items"}), [("a", None)], above=2**62)

"""Rules for rebuilds that were interrupted."""

from collections.abc import Iterator
from shlex import quote

from outboxctl.core.operator.rebuilds import Rebuild
from outboxctl.operations.doctor.model import ERROR, Case, RuleGroup
from outboxctl.settings import Settings

REBUILDS = RuleGroup("rebuilds")


@REBUILDS.rule("rebuild-interrupted-move", ERROR)
def interrupted(moves: list[Rebuild], _: Settings) -> Iterator[Case]:
    """Its index may take no writes: its events wait, with their attempts, until it goes on or ends."""
    for row in moves:
        name = row.body.get("projection", "")
        options = f" --projection {quote(name)}" * bool(name)
        what = f"A {row.action} of {row.alias} was interrupted while it moved the alias."
        way = " --rollback" * (row.action == "rollback")
        yield what, f"outboxctl rebuild{options}{way} --yes  # or ends it: outboxctl rebuild{options} --abort"

"""What each phase does. Each can be repeated from its start, as a rebuild that was killed does."""

from dataclasses import replace

from outboxctl.core.documents.since import position
from outboxctl.core.operator.rebuilds import ENDING, Rebuild, RebuildPhase
from outboxctl.operations.rebuild.filling import fill, heal
from outboxctl.operations.rebuild.model import Tools
from outboxctl.operations.rebuild.move import swap
from outboxctl.operations.rebuild.rounds import catch_up, follow
from outboxctl.sink.index import lifecycle


def create(tools: Tools, rebuild: Rebuild) -> Rebuild:
    """Create the new index, with settings for fast filling."""
    lifecycle.create(tools.client, rebuild.new_index, rebuild.body, rebuild.id)
    with tools.db.begin() as connection:
        tools.followed.position = position(connection)  # whatever is visible here, all that follows reads
    return tools.save(rebuild, phase=RebuildPhase.FILL)


def reconcile(tools: Tools, rebuild: Rebuild) -> Rebuild:
    """Follow once more, as documents are declared now, and compare; then the rebuild is done.

    So the new index also has what was written to the old one after somebody had lifted its block, and changes
    whose events are gone. Raises ChangedError where the declaration changes meanwhile.
    """
    with tools.db.begin() as connection:
        source = tools.source.renewed(connection)
    healed = 0
    if source is None:
        tools.say(f"{tools.source.name} has no documents in {rebuild.alias} any more: it stays as it is")
    else:
        tools = replace(tools, source=source)
        rebuild = follow(tools, rebuild)
        healed = heal(tools, rebuild.new_index)
    ending = {"phase": RebuildPhase.DONE, "healed": rebuild.healed + healed, "kept_index": rebuild.old_index}
    return tools.save(rebuild, ENDING, **ending)


STEPS = {
    RebuildPhase.CREATE: create,
    RebuildPhase.FILL: fill,
    RebuildPhase.CATCH_UP: catch_up,
    RebuildPhase.SWAP: swap,
    RebuildPhase.RECONCILE: reconcile,
}

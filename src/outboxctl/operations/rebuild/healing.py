"""Comparing the new index with the database, and sending what differs straight away."""

from collections.abc import Iterator
from itertools import islice

from outboxctl.core.documents import source_rows
from outboxctl.domain.errors import UsageError
from outboxctl.operations.rebuild.model import RebuildInterrupted, Tools
from outboxctl.operations.rebuild.sending import Sender, collect
from outboxctl.operations.verify.compare import compare
from outboxctl.operations.verify.model import Difference, DifferenceKind, key_of
from outboxctl.sink.index.scan import Reader

# An event cannot have been missed where the index is ahead; and content follows the version.
MENDED = {DifferenceKind.MISSING, DifferenceKind.STALE, DifferenceKind.EXTRA}


def heal(tools: Tools, index: str) -> int:
    """Send what differs and has no event under way; returns how many documents were written or deleted.

    It finds what no event told of, such as events that were pruned while the index was filled. An
    index without fields to compare by is left as it is.
    """
    reader, sender, healed = Reader(tools.client, index), Sender(tools, index), 0
    try:
        reader.shape  # noqa: B018 - looks
    except UsageError as error:
        tools.say(f"not compared: {error}")
        return 0
    differing = _mended(compare(tools.db, reader, content=False, advance=tools.advance, stop=tools.stop))
    while keys := list(islice(differing, tools.size)):
        if tools.stop.is_set():
            raise RebuildInterrupted
        with tools.db.begin() as connection:
            entities = source_rows.named(connection, keys)
        refused = sender.send(entities)
        collect(tools, refused, tolerant=True)
        healed += len(entities) - len(refused)
    if tools.stop.is_set():
        raise RebuildInterrupted  # not all was compared
    return healed


def _mended(differences: Iterator[Difference]) -> Iterator[tuple[str, str, int]]:
    """Type, id and the version of a delete, should the row be gone."""
    for found in differences:
        key = key_of(found.id)
        if found.kind in MENDED and key and not found.in_flight:
            version = found.source_version if found.index_version is None else found.index_version
            yield (*key, version or 0)

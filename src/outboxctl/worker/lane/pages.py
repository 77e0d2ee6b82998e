"""Events that name many documents (`follow_pages`), delivered as events of one document each."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from outboxctl.core.delivery.claim import Claimed
from outboxctl.core.projections import follow_pages
from outboxctl.domain.failures import DONE, Verdict
from outboxctl.domain.projection import DOCUMENTS
from outboxctl.worker.lane.prepare import UNSENT
from outboxctl.worker.projections.reading import Judged
from outboxctl.worker.settling.outcome import ID_LENGTH, Split

FULL = 2  # an event of up to twice as many documents as may be sent together is sent


@dataclass
class Unfolded:
    """The events of a claim: of those that name documents the first one, as events of one document each.

    An event of a document has the id of its `page`, and behind that the place among its `keys`. `later` are
    the other pages. `apart`: the documents of the page are not to be sent together, but have an event each.
    """

    events: list[Claimed] = field(default_factory=list)
    page: Claimed | None = None
    keys: Sequence[str] = ()
    later: list[str] = field(default_factory=list)
    apart: bool = False

    @property
    def documents(self) -> list[Claimed]:
        """What is delivered."""
        if self.page is None or self.apart:
            return self.events
        id_, tried = self.page.id, self.page.attempts
        own = [Claimed(f"{id_}/{n}", key, "upsert", None, tried) for n, key in enumerate(self.keys)]
        return self.events + own

    def folded(self, judged: Judged) -> tuple[Judged, list[Split]]:
        """What becomes of the claimed events: a page is done once its other documents have an event each."""
        if self.page is None:
            return judged, []
        others = [pair for pair in judged if len(pair[0].id) <= ID_LENGTH]
        left = [
            pair for pair in judged if len(pair[0].id) > ID_LENGTH and pair[1].verdict is not Verdict.DONE
        ]
        keys = [self.keys[int(event.id[ID_LENGTH + 1 :])] for event, _ in left]
        tried = [pair for pair in left if pair[1] is not UNSENT]
        split = Split(self.page.id, self.keys if self.apart else keys, tried)
        return [*others, (self.page, DONE)], [split] if split.keys else []


def unfold(events: Sequence[Claimed], together: int, *, exclusive: bool) -> Unfolded:
    """The events of a claim; `together`: how many documents may be sent as one event.

    One that was tried before, or whose worker has died (`exclusive`), may have a document that is at fault.
    """
    if {event.follow for event in events} <= {None}:  # the hot path
        return Unfolded([*events])
    found = Unfolded()
    for event in events:
        page = event.follow == DOCUMENTS and event.document_id != ""
        if page and found.page:
            found.later.append(event.id)
        elif page and 0 < len(keys := follow_pages.named(event.document_id, DOCUMENTS)) <= follow_pages.HALF:
            found.page, found.keys = event, keys
            found.apart = exclusive or event.attempts > 1 or len(keys) > FULL * together
        else:  # the expander makes pages of the many
            found.events.append(event)
    return found

"""Events that name many documents (`follow_pages`), delivered as events of one document each."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from outboxctl.core.delivery.claim import Claimed
from outboxctl.core.projections import follow_pages
from outboxctl.domain.failures import DONE, Verdict
from outboxctl.domain.projection import DOCUMENTS
from outboxctl.worker.lane.prepare import UNSENT
from outboxctl.worker.projections.reading import Judged
from outboxctl.worker.settling.outcome import ID_LENGTH, UNFOLDED, Split

FULL = 2  # a page is sent whose documents, by the size of the last ones, need as many times the room


@dataclass
class Unfolded:
    """The events of a claim: of those that name documents the first one, as events of one document each.

    An event of a document has the id of its `page`, and behind that the place among its `keys`. `later` are
    the other pages. `apart`: the documents of the page are not to be sent, but have an event each.
    """

    events: list[Claimed] = field(default_factory=list)
    page: Claimed | None = None
    keys: Sequence[str] = ()
    later: list[str] = field(default_factory=list)
    apart: bool = False
    together: int = 0  # documents that may be sent at once

    @property
    def requests(self) -> list[list[Claimed]]:
        """What is delivered, one after the other: no stream of either keeps the other one waiting."""
        if (page := self.page) is None or self.apart:
            return [self.events]
        own = [
            Claimed(f"{page.id}/{n}", key, "upsert", None, page.attempts) for n, key in enumerate(self.keys)
        ]
        both = self.events + own
        return [both] if len(both) <= self.together else [self.events, own]

    def folded(self, judged: Judged) -> tuple[Judged, list[Split]]:
        """What becomes of the claimed events: a page is done once its other documents have an event each."""
        if self.page is None:
            return judged, []
        others = [pair for pair in judged if len(pair[0].id) <= ID_LENGTH]
        own = [pair for pair in judged if len(pair[0].id) > ID_LENGTH]
        done = {event.id for event, finding in own if finding.verdict is Verdict.DONE}
        left = [key for n, key in enumerate(self.keys) if f"{self.page.id}/{n}" not in done]
        tried = [(event, why) for event, why in own if event.id not in done and why is not UNSENT]
        split = [Split(self.page.id, left, tried)] if left else []
        return [*others, (self.page, DONE if done else UNFOLDED)], split


def unfold(events: Sequence[Claimed], together: int, *, exclusive: bool) -> Unfolded:
    """The events of a claim; `together`: how many documents may be sent at once.

    A page that was tried before, or whose worker died (`exclusive`), may have a document that is at fault.
    """
    if {event.follow for event in events} <= {None}:  # the hot path
        return Unfolded([*events])
    found = Unfolded(together=together)
    for event in events:
        page = event.follow == DOCUMENTS and event.document_id != ""
        if page and found.page:
            found.later.append(event.id)
        elif page and 0 < len(keys := follow_pages.named(event.document_id, DOCUMENTS)) <= follow_pages.HALF:
            found.page, found.keys = event, keys
            found.apart = exclusive or event.attempts > 1 or len(keys) > together
        else:  # the expander makes pages of the many
            found.events.append(event)
    return found

"""Which event is at fault where requests to an index end without an answer, under `hold`.

A timeout, a lost connection or a proxy's 502 may be caused by a node, or by one document on which the engine
hangs. Such a request costs no attempt. It makes the claims of its index smaller until a document is alone in
its request. A document that was alone without an answer is a suspect: from then on it is sent alone, between
two probes of its shard. If both probes are accepted and the document has no answer again, its event loses the
attempt. So that event ends in `failed`, and no other one does.
"""

from outboxctl.domain.failures import Classification, Reason, Verdict

CLAIM_LIMITS = (100, 10, 1)  # events of a claim, after larger ones that had no answer
LARGE_DOCUMENT = 1_000_000  # characters of a document that alone can be more than an engine accepts at a time


def smaller_claim(documents: int) -> int:
    """Return the limit of claims after so many documents were sent and had no answer."""
    return next((limit for limit in CLAIM_LIMITS if limit < documents), 1)


def is_unanswered(finding: Classification | None) -> bool:
    """Return whether the request of a document ended without an answer that the document may have caused."""
    if finding is None or finding.unsent or not finding.refundable:
        return False
    return finding.reason is not Reason.RATE_LIMITED


def needs_probe(finding: Classification | None, *, suspect: bool, characters: int) -> bool:
    """Return whether a probe decides if a document of so many characters, sent alone, is at fault.

    An overloaded engine refuses small documents as well, so 429 is the fault of a large one only.
    """
    if finding is not None and finding.reason is Reason.RATE_LIMITED:
        return characters > LARGE_DOCUMENT
    return suspect and is_unanswered(finding)


def is_accepted(probe: Classification | None) -> bool:
    """Return whether the engine accepted a request without an event."""
    return probe is not None and probe.verdict is Verdict.DONE

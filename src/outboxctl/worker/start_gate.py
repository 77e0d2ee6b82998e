"""Whether a worker may claim yet: not while its index has never been there."""

from outboxctl.domain.failures import Classification, Reason


class StartGate:
    """Shut from the moment the sink answers that there is no such index until it was seen once.

    An index that is missing at the start was never made, or is misspelt: no event may lose attempts by
    it. A sink that does not answer opens the gate, and an index that vanishes later leaves it open:
    both are outages.
    """

    def __init__(self) -> None:
        self._seen = False
        self.problem = ""  # why it is shut; empty: it is open

    def observe(self, finding: Classification | None) -> None:
        """Take note of a look at the sink: None if the index is there."""
        self._seen = self._seen or finding is None
        missing = finding is not None and finding.reason is Reason.INDEX_UNAVAILABLE
        self.problem = finding.error if finding and missing and not self._seen else ""

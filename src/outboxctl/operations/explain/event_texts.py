"""What kinds of events are, for people."""

from outboxctl.domain.reason_texts import ReasonText

FOLLOW = ReasonText(
    "A follow event stands for all documents behind one changed row of a followed table: so the application "
    "writes one row, however many documents there are. Its `follow` is the place of the table in the "
    "projection (-1: every document), its `entity_type` the projection, its `entity_key` the row's columns. "
    "A statement of 20 rows or more writes one such event for up to 500 rows; with `follow` -2 its "
    "`entity_key` names the documents themselves. "
    "It waits with `next_retry_at` = infinity, which is no retry: a worker finds the documents by the "
    "table's query, and writes an event for each of them.",
    "`outboxctl status` says where they stand, a line a followed table: how many wait, the documents found "
    "so far, the pace, and the time until all are expanded, once that is known. Where none is expanded, "
    "`outboxctl doctor` says why, and `outboxctl projection plan FILE` names an index that is missing.",
)

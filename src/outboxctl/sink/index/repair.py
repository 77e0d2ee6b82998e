"""The requests of a repair: the versions that deleted documents left, and removals by fence."""

import re
from collections.abc import Sequence
from json import dumps
from typing import Any, NamedTuple

from outboxctl.domain.errors import UnreachableError
from outboxctl.domain.failures import Answer
from outboxctl.sink.delivery.bulk import FILTER, BulkAction, pair
from outboxctl.sink.transport.client import Client
from outboxctl.sink.transport.request import ask, failure, request

CURRENT = re.compile(r"current version \[(\d+)\]")
OK, GONE, CONFLICT = 200, 404, 409


class DocumentVersion(NamedTuple):
    """A document as it was seen: its `seq_no` and `primary_term` name this very write of it."""

    id: str
    seq_no: int
    primary_term: int
    routing: str = ""


class Mender:
    """Sends them to one concrete index, after a check that it is there: a delete would create it."""

    def __init__(self, client: Client, index: str) -> None:
        self.client, self.index = client, index

    def versions_left(self, ids: Sequence[str]) -> dict[str, int]:
        """The versions that the index still holds for these ids, of tombstones or of documents.

        Asked by a delete at version 0 with `version_type=external`, which must be above what is there:
        it is refused, with the version in the error's text, wherever the index knows of one, and
        where it knows of none there is nothing to delete (tried on 9.0.4). No API tells of tombstones.
        """
        heads = [{"_id": id_, "version": 0, "version_type": "external"} for id_ in ids]
        held: dict[str, int] = {}
        for id_, answer in zip(ids, self._deletes(heads), strict=True):
            if answer.status == CONFLICT and (version := CURRENT.search(answer.text)):
                held[id_] = int(version[1])
            elif answer.status != GONE:
                raise failure(answer)
        return held

    def remove(self, documents: Sequence[DocumentVersion]) -> list[str]:
        """Delete these documents unless they were written again since; returns the ids that are gone."""
        heads = [
            {"_id": each.id, "if_seq_no": each.seq_no, "if_primary_term": each.primary_term}
            | ({"routing": each.routing} if each.routing else {})
            for each in documents
        ]
        gone: list[str] = []
        for document, answer in zip(documents, self._deletes(heads), strict=True):
            if answer.status in {OK, GONE}:
                gone.append(document.id)
            elif answer.status != CONFLICT:
                raise failure(answer)
        return gone

    def _deletes(self, heads: Sequence[dict[str, Any]]) -> list[Answer]:
        if not heads:
            return []
        if not ask(self.client, "HEAD", self.index):
            raise UnreachableError(f"the index {self.index} is gone", hint="look, then run the same again")
        lines = "".join(f"{dumps({'delete': head})}\n" for head in heads).encode()
        answer = request(self.client, "POST", self.index, "_bulk", body=lines, filter_path=FILTER)
        paired = pair([BulkAction(head["_id"], 0, None) for head in heads], answer)
        if isinstance(paired, Answer):
            raise failure(paired)
        return paired

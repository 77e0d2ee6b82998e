"""A bulk request of which some items are refused and the others applied."""

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

from outboxctl.drills.proxy.fault import Refusal
from outboxctl.drills.proxy.request import Backend, ProxyRequest
from outboxctl.drills.proxy.wire import ProxyReply

NOTHING = ProxyReply(200, b'{"items":[]}')


def apply(
    asked: ProxyRequest, refuse: Callable[[str], Refusal | None], backend: Backend
) -> tuple[ProxyReply, int]:
    """Pass on all items but those that are refused, and put these back into the answer; and their count.

    An answer that holds no items (the sink refuses all, or a filter hides them) stays as it is.
    """
    actions = asked.actions()
    kept = [action for action in actions if not refuse(action.id)]
    if len(kept) == len(actions):
        return backend.answer(asked), 0
    truth = backend.answer(asked.keeping(kept)) if kept else NOTHING
    passed = _items(truth, len(kept))
    if passed is None:
        return truth, 0
    items = [
        action.refused(*refusal) if (refusal := refuse(action.id)) else next(passed) for action in actions
    ]
    body = json.dumps({"errors": True, "items": items}).encode()
    return replace(truth, body=body), len(actions) - len(kept)


def _items(reply: ProxyReply, count: int) -> Iterator[Any] | None:
    try:
        items = json.loads(reply.body)["items"]
    except (ValueError, LookupError, TypeError):
        return None
    return iter(items) if isinstance(items, list) and len(items) == count else None

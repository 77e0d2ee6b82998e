"""The store in memory behind the server."""

import json
from typing import Any
from urllib.parse import parse_qs, urlsplit

from fakes.store import Kind, Store
from outboxctl.drills.proxy.wire import ProxyReply, ProxyRequest, parse_bulk


class Memory:
    """Elasticsearch, as far as the worker and the tests' own client need it."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def answer(self, asked: ProxyRequest) -> ProxyReply:
        """Dispatch by method and path."""
        match asked.method, *asked.path:
            case "HEAD", *names:
                reply = ProxyReply(200 if self._exists(names) else 404)
            case "GET", "":
                reply = _json({"version": {"number": "9.0.4"}, "tagline": "You Know, for Search"})
            case _, index, "_bulk":
                reply = self._bulk(index, asked)
            case _, _, "_mget":
                reply = self._mget(json.loads(asked.body))
            case _, _, "_count":
                reply = _json({"count": len(self._store.documents())})
            case _, _, "_refresh":
                reply = _json({"_shards": {"total": 1, "successful": 1, "failed": 0}})
            case _:
                reply = ProxyReply(400, b'{"error":"the fake sink does not know this request"}')
        return reply

    def _exists(self, names: list[str]) -> bool:
        if names[0] == "_alias":
            return self._store.kind is Kind.ALIAS
        return self._store.kind is not Kind.MISSING

    def _bulk(self, index: str, asked: ProxyRequest) -> ProxyReply:
        alias_only = _query(asked).get("require_alias") == "true"
        answer = self._store.bulk(parse_bulk(asked.body), index=index, require_alias=alias_only)
        return _json(_filtered(answer, _query(asked).get("filter_path")))

    def _mget(self, wanted: dict[str, Any]) -> ProxyReply:
        ids = wanted.get("ids") or [doc["_id"] for doc in wanted["docs"]]
        held = self._store.documents()
        docs = [
            {"_id": id_, "found": True, "_version": held[id_].version, "_source": _source(held[id_].document)}
            if id_ in held
            else {"_id": id_, "found": False}
            for id_ in ids
        ]
        return _json({"docs": docs})


def _query(asked: ProxyRequest) -> dict[str, str]:
    return {name: values[-1] for name, values in parse_qs(urlsplit(asked.target).query).items()}


def _json(body: Any) -> ProxyReply:
    return ProxyReply(200, json.dumps(body).encode())


def _source(document: bytes | None) -> Any:
    return json.loads(document or b"null")


def _filtered(answer: dict[str, Any], filter_path: str | None) -> dict[str, Any]:
    """Keep what `filter_path` names; of its language only `NAME` and `items.*.NAME`."""
    if filter_path is None:
        return answer
    paths = filter_path.split(",")
    fields = {path.removeprefix("items.*.") for path in paths if path.startswith("items.*.")}
    items = [
        {verb: {name: value for name, value in outcome.items() if name in fields}}
        for item in answer["items"]
        for verb, outcome in item.items()
    ]
    return {name: answer[name] for name in paths if name in answer} | {"items": items}

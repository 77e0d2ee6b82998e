"""A search engine of any product, asked in plain HTTP: the tests' own eyes, apart from both clients."""

import json
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

PAGE = 1_000  # documents a request


@dataclass(frozen=True)
class Node:
    """The engine at a URL; OSError where it does not answer within `patience` seconds.

    `number` makes a number of a fraction's text: Decimal keeps every digit.
    """

    url: str
    patience: float = 30
    number: Callable[[str], Any] = float

    def ask(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        """Status and parsed body."""
        data = None if body is None else json.dumps(body).encode()
        headers = {"content-type": "application/json"}
        asked = urllib.request.Request(f"{self.url}{path}", data, headers, method=method)  # noqa: S310 - http
        try:
            with urllib.request.urlopen(asked, timeout=self.patience) as answer:  # noqa: S310 - http
                status, text = answer.status, answer.read()
        except urllib.error.HTTPError as error:
            status, text = error.code, error.read()
        return status, json.loads(text, parse_float=self.number) if text else None

    def ok(self, method: str, path: str, body: Any = None) -> Any:
        """The body of a request that must succeed."""
        status, answer = self.ask(method, path, body)
        assert status < 300, answer
        return answer

    def there(self, name: str) -> bool:
        """Whether there is an index or alias of this name."""
        return self.ask("HEAD", f"/{name}")[0] == 200

    def document(self, index: str, id_: str) -> Any:
        """Its body, None if there is none."""
        return self.ask("GET", f"/{index}/_doc/{id_}")[1].get("_source")

    def put(self, index: str, id_: str, version: int, body: Any) -> None:
        """Write a document as somebody else might."""
        self.ok("PUT", f"/{index}/_doc/{id_}?version={version}&version_type=external_gte", body)

    def block(self, index: str, block: str, *, on: bool) -> None:
        """Set or lift one of an index's blocks."""
        self.ok("PUT", f"/{index}/_settings", {f"index.blocks.{block}": on or None})

    def mget(self, *, index: str, ids: list[str], source: bool) -> Any:
        """As the clients have it: see `invariants`."""
        return self.ok("POST", f"/{index}/_mget?_source={str(source).lower()}", {"ids": ids})

    def scan(self, index: str, *, source: bool) -> Iterator[Any]:
        """Every document that a search finds, as the engine shows a hit."""
        query = {"size": PAGE, "sort": ["_doc"], "_source": source}
        page = self.ok("POST", f"/{index}/_search?scroll=1m", query)
        while hits := page["hits"]["hits"]:
            yield from hits
            page = self.ok("POST", "/_search/scroll", {"scroll": "1m", "scroll_id": page["_scroll_id"]})

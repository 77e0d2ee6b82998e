"""What real servers said, as faults."""

import json
from pathlib import Path
from typing import Any

from fakes.faults import ProxyFault
from outboxctl.drills.proxy.wire import ProxyReply

ELASTICSEARCH, OPENSEARCH = "elasticsearch-9.0.4", "opensearch-2.19.6"
FOLDER = Path(__file__).parents[1] / "answers"
ANSWERS = {
    server: {answer["case"]: answer for answer in json.loads((FOLDER / f"{server}.json").read_text())}
    for server in (ELASTICSEARCH, OPENSEARCH)
}


def item(case: str, server: str = ELASTICSEARCH) -> tuple[int, Any]:
    """Status and error of the first item that a server refused in this case."""
    items = ANSWERS[server][case]["body"]["items"]
    outcomes = [outcome for item in items for outcome in item.values()]
    return next((outcome["status"], outcome["error"]) for outcome in outcomes if "error" in outcome)


def request(case: str, server: str = ELASTICSEARCH) -> ProxyFault:
    """The whole request refused as a server refused it in this case."""
    answer = ANSWERS[server][case]
    missing = {"x-elastic-product": None, "content-type": None}
    body = b"" if answer["body"] is None else json.dumps(answer["body"]).encode()
    return ProxyFault(apply=False, reply=ProxyReply(answer["status"], body, missing | answer["headers"]))

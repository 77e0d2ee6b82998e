"""An Elasticsearch 8, as a client 9 meets it."""

from operations.doctor.fronts import says
from outboxctl.drills.proxy.request import ProxyRequest
from outboxctl.drills.proxy.wire import ProxyReply

PLAIN = "application/json"
# What an Elasticsearch 8.14.3 really said to clients 8 and 9.
EIGHT = {"version": {"number": "8.14.3", "build_flavor": "default"}, "tagline": "You Know, for Search"}
REFUSED = {
    "error": {
        "type": "media_type_header_exception",
        "reason": "Invalid media-type value on headers [Accept, Content-Type]",
        "caused_by": {
            "type": "status_exception",
            "reason": "Accept version must be either version 8 or 7, but found 9. "
            "Accept=application/vnd.elasticsearch+json; compatible-with=9",
        },
    },
    "status": 400,
}


def answers_like_eight(asked: ProxyRequest, reply: ProxyReply) -> ProxyReply:
    """A server 8 asked by a client 9: plain JSON is all that it understands."""
    status, body = (200, EIGHT) if asked.headers["accept"] == PLAIN else (400, REFUSED)
    return says(status, body)(asked, reply)

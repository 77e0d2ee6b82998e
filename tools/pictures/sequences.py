"""The pictures that are sequences."""

from markupsafe import Markup
from tools.pictures.sequence import Actor, Message, Remark, Step, sequence

APPLICATION, POSTGRES = Actor("application"), Actor("PostgreSQL", "postgres")
WORKER, ENGINE = Actor("worker", "worker"), Actor("engine", "engine")
ALL = (APPLICATION, POSTGRES, WORKER, ENGINE)
APP, PG, W, E = range(4)

HOW_IT_WORKS: list[Step] = [
    Message(APP, PG, "row + event"),
    Remark("one transaction: both or none"),
    Message(W, PG, "claim"),
    Remark("due events get a lease and a token; their documents are read"),
    Message(W, E, "one bulk request"),
    Message(E, W, "answer by item"),
    Remark("each document carries its row's version"),
    Message(W, PG, "settle"),
    Remark("done, retry or failed, where the token is still its own"),
]
DELIVERY: list[Step] = [
    Message(APP, PG, "row + event"),
    Remark("crash before COMMIT: neither is there", "bad"),
    Message(W, PG, "claim"),
    Remark("crash: the lease ends, and any worker takes the event", "bad"),
    Message(W, E, "bulk request"),
    Remark("crash: it is sent again; the same version changes nothing", "bad"),
    Message(E, W, "answer"),
    Remark("lost: it is sent again; the same version changes nothing", "bad"),
    Message(W, PG, "settle"),
    Remark("too late: the token is another's, no row is changed", "bad"),
    Remark("done: the index holds this version or a newer one", "good"),
]
VERSIONS: list[Step] = [
    Message(0, 1, "reads the row: version 1"),
    Remark("the row changes: version 2"),
    Message(2, 1, "reads the row: version 2"),
    Message(2, 3, "version 2"),
    Message(3, 2, "taken"),
    Message(0, 3, "version 1", late=True),
    Message(3, 0, "409: version 2 is there"),
    Remark("superseded: the event is done, the document is the newer one", "good"),
]
DELETES: list[Step] = [
    Message(0, 1, "upsert, version 5"),
    Remark("held up on its way: a proxy, a frozen node"),
    Message(0, 2, "delete, version 6"),
    Message(2, 0, "deleted; a tombstone remembers version 6"),
    Remark("gc_deletes, a restart or a flush and a failover end the tombstone"),
    Message(1, 2, "upsert, version 5", late=True),
    Remark("taken: the document is back, its row is gone", "bad"),
    Message(0, 2, "delete, version 6, sent again"),
    Remark("10.5 minutes after the delete at the latest, by default"),
    Message(2, 0, "deleted"),
    Remark("nothing older can arrive any more", "good"),
]
FAILOVER: list[Step] = [
    Message(2, 0, "claim, settle"),
    Remark("the old primary is frozen or cut off; the standby is promoted", "bad"),
    Message(2, 0, "no answer within 7 s", late=True),
    Message(2, 1, "which timeline?"),
    Message(2, 1, "claim, settle"),
    Remark("the old primary wakes: two primaries answer", "bad"),
    Remark("the worker stays at the one that was promoted last", "good"),
]
NODES: list[Step] = [
    Message(0, 1, "bulk"),
    Message(0, 2, "bulk", late=True),
    Remark("no answer: node 2 leaves the rotation", "bad"),
    Message(0, 3, "bulk"),
    Message(0, 1, "bulk"),
    Message(0, 2, "GET /"),
    Remark("after 1 s, 2 s, 4 s, up to 30 s, beside all requests"),
    Message(2, 0, "200"),
    Message(0, 2, "one bulk request"),
    Remark("taken: node 2 is back in the rotation", "good"),
]
TWO_WORKERS = (Actor("worker A", "worker"), POSTGRES, Actor("worker B", "worker"), ENGINE)
ON_THE_WAY = (WORKER, Actor("network, proxy"), ENGINE)
PRIMARIES = (Actor("old primary", "postgres"), Actor("new primary", "postgres"), WORKER)
THREE_NODES = (WORKER, *(Actor(f"node {number}", "engine") for number in (1, 2, 3)))


def pictures() -> dict[str, Markup]:
    """Name and SVG of each."""
    return {
        "how-it-works": sequence("The steps of a delivery", ALL, HOW_IT_WORKS),
        "delivery": sequence("What a crash at each step of a delivery leads to", ALL, DELIVERY),
        "versions": sequence(
            "Of two writes the older one arrives last, and is refused", TWO_WORKERS, VERSIONS
        ),
        "deletes": sequence("A late write after a delete, and the delete sent again", ON_THE_WAY, DELETES),
        "failover": sequence("A worker leaves a frozen primary for the promoted one", PRIMARIES, FAILOVER),
        "nodes": sequence("A node that does not answer leaves the rotation", THREE_NODES, NODES),
    }

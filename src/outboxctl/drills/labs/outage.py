"""The sink away: how labs bring it about, and how they see that it is."""

import socket

from outboxctl.drills import services
from outboxctl.drills.labs.model import BilingualText
from outboxctl.drills.labs.scene import Scene
from outboxctl.drills.proxy import faults
from outboxctl.net.urls import parse_url

AWAY = BilingualText("nothing listens where the worker sends", "worker 的 ELASTIC_URL 无法连接")
STOPPED = BilingualText("ES stopped", "停 ES")
REFUSED = BilingualText("connections to ES refused (as with a wrong URL)", "错 URL（拒绝连接）")
SHORT_SECONDS = 1.0
SOON_SECONDS = 3.0


def refuse(scene: Scene) -> BilingualText:
    """Refuse every connection at the proxy, and see that it does. Returns the way. Unlearned."""
    scene.fault(
        "every connection to the sink is refused", lambda: scene.proxy.set(faults.refuse()), scene.proxy.clear
    )
    _took_hold(scene, scene.proxy.url)
    return REFUSED


def stop(scene: Scene) -> BilingualText:
    """Stop the lab's own search engine; where it has none, `refuse`. Returns the way. Unlearned.

    The worker then sends to the engine itself: a proxy before a stopped one would still answer.
    """
    own = scene.namespace.own
    if own is None:
        return refuse(scene)
    scene.fault(
        "the search engine is stopped",
        lambda: services.stop("search", own),
        lambda: services.start_search(own),
    )
    _took_hold(scene, scene.namespace.elastic_url)
    return STOPPED


def _took_hold(scene: Scene, url: str) -> None:
    scene.took_hold(AWAY, lambda: not _listens(url), within=SOON_SECONDS)


def _listens(url: str) -> bool:
    at = parse_url(url)
    try:
        socket.create_connection((at.hostname, at.port or 0), SHORT_SECONDS).close()
    except OSError:
        return False
    return True

"""A proxy before the sink that delays, refuses, cuts or falsifies what passes, on request."""

from outboxctl.drills.proxy import faults
from outboxctl.drills.proxy.faults import ProxyFault
from outboxctl.drills.proxy.server import Proxy

__all__ = ["Proxy", "ProxyFault", "faults"]

"""A proxy before the sink that breaks, delays and falsifies what passes, when told to."""

from outboxctl.drills.proxy import faults
from outboxctl.drills.proxy.fault import ProxyFault
from outboxctl.drills.proxy.proxy import Proxy

__all__ = ["Proxy", "ProxyFault", "faults"]

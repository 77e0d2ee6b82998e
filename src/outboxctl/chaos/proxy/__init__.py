"""A proxy before the sink that breaks, delays and falsifies what passes, when told to."""

from outboxctl.chaos.proxy import faults
from outboxctl.chaos.proxy.fault import Fault
from outboxctl.chaos.proxy.proxy import Proxy

__all__ = ["Fault", "Proxy", "faults"]

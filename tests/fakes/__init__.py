"""A sink that behaves like Elasticsearch, except when a script of faults says otherwise."""

from fakes.script import Bulk, Script
from fakes.sink import FakeSink, fake_sink
from outboxctl.drills.proxy.faults import ProxyFault
from outboxctl.drills.proxy.server import Point

__all__ = ["Bulk", "FakeSink", "Point", "ProxyFault", "Script", "fake_sink"]

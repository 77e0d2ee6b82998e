"""A sink that behaves like Elasticsearch, except when a script of faults says otherwise."""

from fakes.script import Script
from fakes.sink import FakeSink, fake_sink
from outboxctl.chaos.proxy.fault import Fault
from outboxctl.chaos.proxy.points import Point

__all__ = ["FakeSink", "Fault", "Point", "Script", "fake_sink"]

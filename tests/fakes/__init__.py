"""A sink that behaves like Elasticsearch, except when a script of faults says otherwise."""

from fakes.faults import Fault
from fakes.script import Point, Script
from fakes.sink import FakeSink, fake_sink

__all__ = ["FakeSink", "Fault", "Point", "Script", "fake_sink"]

"""Local PostgreSQL and search engine: real servers of this machine's, containers only where asked for."""

from outboxctl.drills.services.control import down, start_postgres, start_search, status, stop, up
from outboxctl.drills.services.model import Service, Services
from outboxctl.drills.services.sockets import Reserved
from outboxctl.drills.services.sockets import fresh as fresh_port
from outboxctl.drills.services.sockets import reserve as reserve_port

__all__ = [
    "Reserved",
    "Service",
    "Services",
    "down",
    "fresh_port",
    "reserve_port",
    "start_postgres",
    "start_search",
    "status",
    "stop",
    "up",
]

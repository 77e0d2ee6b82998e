"""The alerts, pages and tickets: as data, and as Prometheus' rules."""

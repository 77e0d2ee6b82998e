"""What wakes somebody, and what waits for the morning: the alerts as data, and as Prometheus' rules."""

"""Delivery to a search cluster of several nodes, of which one is ill: `make test-cluster`."""

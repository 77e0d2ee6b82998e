"""Runs of their own, the demo's and the labs': a folder, settings and worker processes that leave nothing."""

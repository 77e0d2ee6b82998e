"""The worker: claim, deliver, settle; reclaim what died; stop cleanly.

Imports core, sink, metrics and below.
"""

"""The worker process: claims, delivers and settles events, reclaims stuck ones, and stops in order.

`daemon` starts the threads, `wiring` makes what they share, `lane.lane` is the work of one of them.
Imports core, sink, metrics and below; only `worker` and `operations` use both `core` and `sink`.
"""

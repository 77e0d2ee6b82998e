"""The states of the sink and of one index, as a worker sees them: whether and how much is sent there.

Pure: each transition takes a state, an answer and the time, and returns the next state (docs/outages.md has
the table). `outboxctl.worker.flow` keeps one state of the sink, and one of the index of each projection.
Times are those of `clock.monotonic`.
"""

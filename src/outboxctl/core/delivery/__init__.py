"""The SQL of a delivery: claim, settle, renew, release, reclaim."""

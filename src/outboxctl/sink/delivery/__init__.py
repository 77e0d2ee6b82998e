"""Bulk requests: built, sent, paired with their answers, bisected where the sink refuses a whole request."""

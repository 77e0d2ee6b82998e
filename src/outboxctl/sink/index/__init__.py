"""Indexes and aliases: created, swapped, blocked, scanned, repaired."""

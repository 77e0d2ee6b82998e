"""Deliberately broken builds, each caught by a test of its own."""

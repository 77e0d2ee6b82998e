"""Measuring: what the sink alone, the store alone and the real worker do, and what each of them costs."""

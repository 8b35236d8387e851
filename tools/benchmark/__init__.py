"""Benchmarks: speed, memory, agreement with museval, and the table of the family."""

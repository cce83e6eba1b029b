"""Benchmarks: one script per question, run as ``python -m bench.NAME``."""

"""Benches: one script a question, run as ``python -m bench.NAME``."""

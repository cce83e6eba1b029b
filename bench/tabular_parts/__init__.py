"""The parts of ``bench.tabular``: tables and splits, methods, one cell, the summary."""

"""Studies: compare points of options over several seeds, and choose one by validation accuracy.

A study trains each point of a grid or of a search with several seeds, keeps a row for each run in a
folder, and writes tables and plots of them. ``anynet study`` is its command line.
"""

from anynet.space import Range, random_points
from anynet.study.grid import EXPERIMENTS, Experiment, product
from anynet.study.results import Results, Row
from anynet.study.run import Arrays, Trial, Where, run_missing, train_group

__all__ = [
    "EXPERIMENTS",
    "Arrays",
    "Experiment",
    "Range",
    "Results",
    "Row",
    "Trial",
    "Where",
    "product",
    "random_points",
    "run_missing",
    "train_group",
]

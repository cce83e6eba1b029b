"""Studies: many runs of one recipe, a row each, chosen among by validation accuracy alone.

A study trains every point of a grid (or of a search) with several seeds, keeps a row for each run
in a folder, and writes tables and plots of them. ``anynet study`` is its command line.
"""

from anynet.study.experiments import EXPERIMENTS, Experiment
from anynet.study.grid import Range, product, random_points
from anynet.study.results import Results
from anynet.study.rows import Row
from anynet.study.run import run_missing
from anynet.study.train import Arrays, Trial, Where, train_group

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

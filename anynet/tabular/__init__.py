"""Training on tables: presets, and the training of their networks."""

from anynet.tabular import fast  # noqa: F401  (registers its presets)
from anynet.tabular.preset import PRESETS, Plan, Preset, Problem, get_preset
from anynet.tabular.training import train_preset

__all__ = ["PRESETS", "Plan", "Preset", "Problem", "get_preset", "train_preset"]

"""Training on tables: presets, and the training of their networks."""

from anynet.tabular.fast import Auto, Fast
from anynet.tabular.pack import Pack
from anynet.tabular.preset import PRESETS, Plan, Preset, Problem, get_preset
from anynet.tabular.realmlp import RealMLP, RealMLPS
from anynet.tabular.tabm import TabM, TabMMini
from anynet.tabular.training import train_preset
from anynet.tabular.tuned import Tuned

__all__ = [
    "PRESETS",
    "Auto",
    "Fast",
    "Pack",
    "Plan",
    "Preset",
    "Problem",
    "RealMLP",
    "RealMLPS",
    "TabM",
    "TabMMini",
    "Tuned",
    "get_preset",
    "train_preset",
]

"""Why a model predicts what it does, and whether one model is better than another."""

from anynet.inspect.importance import Importance, permutation_importance
from anynet.inspect.nearest import Nearest, nearest_examples
from anynet.inspect.paired import (
    Comparison,
    McNemar,
    compare_predictions,
    holm,
    mcnemar,
)
from anynet.inspect.partial import PartialDependence, partial_dependence
from anynet.inspect.saliency import saliency

__all__ = [
    "Comparison",
    "Importance",
    "McNemar",
    "Nearest",
    "PartialDependence",
    "compare_predictions",
    "holm",
    "mcnemar",
    "nearest_examples",
    "partial_dependence",
    "permutation_importance",
    "saliency",
]

"""The scikit-learn face: estimators with scikit-learn's interface, on any array.

Importing this package imports scikit-learn, which ``pip install scikit-learn`` brings.
"""

import importlib.util

if importlib.util.find_spec("sklearn") is None:
    message = "anynet's estimators need scikit-learn: pip install scikit-learn"
    raise ImportError(message)

from anynet.estimators.classifier import MLPClassifier
from anynet.estimators.regressor import MLPRegressor
from anynet.estimators.search import PopulationSearchCV
from anynet.estimators.tabular import TabularClassifier, TabularRegressor
from anynet.estimators.tuning import tune

__all__ = [
    "MLPClassifier",
    "MLPRegressor",
    "PopulationSearchCV",
    "TabularClassifier",
    "TabularRegressor",
    "tune",
]

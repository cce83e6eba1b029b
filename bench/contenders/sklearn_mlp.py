"""scikit-learn's ``MLPClassifier``, without momentum, penalty and early stopping."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier

from bench.contenders.base import OWN_ORDER, Contender
from bench.jobs import Job, Layers


class Seeded(MLPClassifier):
    """A classifier with given initial weights, set through scikit-learn's own method."""

    def _initialize(self, y: Any, layer_units: Any, dtype: Any) -> None:
        super()._initialize(y, layer_units, dtype)
        if self.n_outputs_ == 1:
            *hidden, (weight, bias) = self.initial
            last = (weight[:, 1:] - weight[:, :1], bias[1:] - bias[:1])
            layers = [*hidden, last]
        else:
            layers = self.initial
        self.coefs_ = [weight.copy() for weight, _ in layers]
        self.intercepts_ = [bias.copy() for _, bias in layers]


class Classifier(Contender):
    """``fit`` with ``max_iter`` epochs, and ``predict``; it shuffles with its own generator.

    Two classes have one logistic output in scikit-learn, the difference of the two softmax
    logits, which learns at half their rate: its loss agrees in magnitude only.
    """

    def __init__(self, job: Job, device: str) -> None:
        super().__init__(job, device)
        self.tolerance = 0.5 if job.layers[-1] == 2 else OWN_ORDER
        data = job.data()
        self.x, self.y = data.scaled(), data.y
        self.untrained = self.classifier(job.initial(), max_iter=1, learning_rate=1e-30)
        if job.kind == "predict":
            self.fit(self.untrained)

    def classifier(self, initial: Layers, max_iter: int, learning_rate: float) -> Seeded:
        classifier = Seeded(
            self.job.layers[1:-1],
            solver="sgd",
            alpha=0.0,
            batch_size=self.job.batch_size,
            learning_rate_init=learning_rate,
            max_iter=max_iter,
            momentum=0.0,
            nesterovs_momentum=False,
            n_iter_no_change=max_iter + 1,
            random_state=0,
        )
        classifier.initial = initial
        return classifier

    def fit(self, classifier: Seeded) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # the number of epochs is fixed
            classifier.fit(self.x, self.y)

    def train(self) -> float:
        classifier = self.classifier(self.job.initial(), self.job.epochs, self.job.learning_rate)
        self.fit(classifier)
        return float(classifier.loss_)

    def predict(self) -> np.ndarray:
        classes: np.ndarray = self.untrained.predict(self.x)
        return classes

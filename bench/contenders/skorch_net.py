"""skorch: torch behind scikit-learn's interface."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from skorch import NeuralNetClassifier

from bench.contenders.base import OWN_ORDER, Contender
from bench.contenders.torch_loop import sequential
from bench.jobs import Job, Layers


class Module(torch.nn.Module):
    """The network, which always starts with the job's initial weights."""

    def __init__(self, initial: Layers) -> None:
        super().__init__()
        self.layers = sequential(initial)

    def forward(self, x: torch.Tensor) -> Any:
        return self.layers(x)


class Net(Contender):
    """``NeuralNetClassifier.fit`` without a validation split, with its own shuffling."""

    tolerance = OWN_ORDER

    def __init__(self, job: Job, device: str) -> None:
        super().__init__(job, device)
        data = job.data()
        self.x, self.y = data.scaled(), data.y.astype(np.int64)
        self.net = NeuralNetClassifier(
            Module,
            module__initial=job.initial(),
            criterion=torch.nn.CrossEntropyLoss,
            optimizer=torch.optim.SGD,
            lr=job.learning_rate,
            max_epochs=job.epochs,
            batch_size=job.batch_size,
            iterator_train__shuffle=True,
            train_split=None,
            verbose=0,
            device=device,
        )
        self.net.initialize()

    def train(self) -> float:
        torch.manual_seed(0)
        self.net.fit(self.x, self.y)
        return float(self.net.history[-1, "train_loss"])

    def predict(self) -> np.ndarray:
        classes: np.ndarray = self.net.predict(self.x)
        return classes

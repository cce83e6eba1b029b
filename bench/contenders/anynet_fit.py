"""anynet with its public functions: ``fit`` without a validation set, and ``Model.predict``.

The data are on the device beforehand, in their own dtype: bytes are scaled inside the step.
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

import anynet
from anynet import Model
from anynet.nn.losses import CrossEntropy
from bench.contenders.base import Contender
from bench.jobs import SEED, Job


class Fit(Contender):
    """``anynet.fit`` on one backend."""

    def __init__(self, job: Job, device: str, name: str) -> None:
        super().__init__(job, device)
        self.backend = anynet.get_backend(name, device)
        data = job.data()
        self.network = anynet.mlp(job.layers, scale=data.scale)
        with self.backend.context():
            self.x, self.y = self.backend.to_device(data.x), data.y
            params = self.network.init(SEED, self.backend)
        self.model = Model(self.network, params, CrossEntropy(), self.backend)

    def train(self) -> float:
        model = anynet.fit(
            self.network,
            (self.x, self.y),
            epochs=self.job.epochs,
            batch_size=self.job.batch_size,
            learning_rate=self.job.learning_rate,
            seed=SEED,
            backend=self.backend,
        )
        assert model.history is not None
        return model.history.records[-1].train_loss

    def predict(self) -> np.ndarray:
        classes: np.ndarray = self.backend.to_host(self.model.predict(self.x))
        return classes

    def notes(self) -> dict[str, Any]:
        return super().notes() | {"backend": self.backend.describe()}


on_numpy = functools.partial(Fit, name="numpy")
on_cupy = functools.partial(Fit, name="cupy")
on_torch = functools.partial(Fit, name="torch")
on_jax = functools.partial(Fit, name="jax")

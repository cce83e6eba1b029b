"""anynet: a population one run after another, together, and together in a shared order."""

from __future__ import annotations

import numpy as np

import anynet
from bench.contenders.base import OWN_ORDER, Contender
from bench.jobs import Job


class OneByOne(Contender):
    """``fit`` for each seed."""

    backend = "numpy"

    def __init__(self, job: Job, device: str) -> None:
        super().__init__(job, device)
        data = job.data()
        self.data = data.x, data.y
        self.network = anynet.mlp(job.layers, scale=data.scale)
        self.options = {
            "epochs": job.epochs,
            "batch_size": job.batch_size,
            "learning_rate": job.learning_rate,
            "backend": anynet.get_backend(self.backend, device),
        }

    def models(self) -> list[anynet.Model]:
        """Train all members."""
        seeds = range(self.job.members)
        return [anynet.fit(self.network, self.data, seed=seed, **self.options) for seed in seeds]

    def train(self) -> float:
        return float(np.mean([model.history.records[-1].train_loss for model in self.models()]))

    def predict(self) -> np.ndarray:
        raise NotImplementedError


class AtOnce(OneByOne):
    """``fit_population``."""

    shared_order = False

    def models(self) -> list[anynet.Model]:
        configs = [{"seed": seed} for seed in range(self.job.members)]
        return anynet.fit_population(
            self.network, self.data, configs, shared_order=self.shared_order, **self.options
        )


class SharedOrder(AtOnce):
    """``fit_population`` with the batches of the first member for all members."""

    tolerance = OWN_ORDER
    shared_order = True


class OneByOneOnJax(OneByOne):
    """``fit`` for each seed, on JAX."""

    backend = "jax"


class AtOnceOnJax(AtOnce):
    """``fit_population`` on JAX."""

    backend = "jax"

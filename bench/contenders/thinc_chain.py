"""thinc: a chain of its layers and the loop of its documentation."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
from thinc.api import SGD, Model, Relu, Softmax, chain, get_current_ops, use_ops

from bench.contenders.base import Contender
from bench.jobs import Job


class Chain(Contender):
    """``begin_update``, ``backprop``, ``finish_update``, with the arrays of thinc's ``Ops``."""

    def __init__(self, job: Job, device: str, **options: Any) -> None:
        super().__init__(job, device)
        data = job.data()
        self.initial = job.initial()
        with use_ops("cupy" if device == "cuda" else "numpy", **options):
            self.ops = get_current_ops()
            *hidden, last = zip(job.layers[1:], job.layers, strict=False)
            self.model: Model = chain(*(Relu(*size) for size in hidden), Softmax(*last))
        self.x = self.ops.asarray(data.scaled())
        self.one_hot = self.ops.asarray(np.eye(job.layers[-1], dtype=np.float32)[data.y])
        self.model.initialize()
        self.reset()

    def reset(self) -> None:
        """Restore the job's initial weights; thinc stores them as (O, I)."""
        for layer, (weight, bias) in zip(self.model.layers, self.initial, strict=True):
            layer.set_param("W", self.ops.asarray(np.ascontiguousarray(weight.T)))
            layer.set_param("b", self.ops.asarray(bias.copy()))

    def train(self) -> float:
        self.reset()
        optimizer = SGD(self.job.learning_rate, L2=0.0, grad_clip=0.0, use_averages=False)
        xp, total = self.ops.xp, 0.0
        for epoch in range(1, self.job.epochs + 1):
            total = 0.0
            for part in self.job.orders(epoch):
                for rows in self.ops.asarray(part):
                    target = self.one_hot[rows]
                    probabilities, backprop = self.model.begin_update(self.x[rows])
                    backprop((probabilities - target) / len(rows))
                    self.model.finish_update(optimizer)
                    total = total - xp.log((probabilities * target).sum(axis=1)).sum()
        return float(total) / self.job.samples

    def predict(self) -> np.ndarray:
        classes: np.ndarray = self.ops.to_numpy(self.model.predict(self.x).argmax(axis=1))
        return classes


without_blis = functools.partial(Chain, use_blis=False)

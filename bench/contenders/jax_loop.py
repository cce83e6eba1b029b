"""JAX: a jitted step in a Python loop, and a whole epoch as one ``lax.scan``."""

from __future__ import annotations

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from bench.contenders.base import Contender
from bench.jobs import Job

jax.config.update("jax_default_matmul_precision", "highest")  # on GPUs JAX's default is TF32


def forward(params: Any, x: Any) -> Any:
    """Return the logits."""
    for weight, bias in params[:-1]:
        x = jax.nn.relu(x @ weight + bias)
    weight, bias = params[-1]
    return x @ weight + bias


def mean_loss(params: Any, x: Any, y: Any) -> Any:
    """Return the mean cross-entropy."""
    log_probabilities = jax.nn.log_softmax(forward(params, x))
    return -jnp.mean(jnp.take_along_axis(log_probabilities, y[:, None], axis=1))


def update(params: Any, x: Any, y: Any, rows: Any, learning_rate: float) -> tuple[Any, Any]:
    """Train on one batch; return new weights and the sum of its losses."""
    loss, grads = jax.value_and_grad(mean_loss)(params, x[rows], y[rows])
    params = jax.tree.map(lambda weight, grad: weight - learning_rate * grad, params, grads)
    return params, loss * len(rows)


@functools.partial(jax.jit, donate_argnums=(0, 1), static_argnums=5)
def one_step(params: Any, total: Any, x: Any, y: Any, rows: Any, learning_rate: float) -> Any:
    """Train on one batch and add its losses to ``total``."""
    params, loss = update(params, x, y, rows, learning_rate)
    return params, total + loss


@functools.partial(jax.jit, donate_argnums=(0, 1), static_argnums=5)
def many_steps(params: Any, total: Any, x: Any, y: Any, order: Any, learning_rate: float) -> Any:
    """Train on the batches of ``order`` (steps, B)."""

    def body(carry: Any, rows: Any) -> tuple[Any, None]:
        params, loss = update(carry[0], x, y, rows, learning_rate)
        return (params, carry[1] + loss), None

    return jax.lax.scan(body, (params, total), order)[0]


@jax.jit
def classify(params: Any, x: Any) -> Any:
    """Return the class of the largest logit."""
    return jnp.argmax(forward(params, x), axis=1)


class Scan(Contender):
    """``lax.scan`` over the batches of an epoch, with donated weights."""

    def __init__(self, job: Job, device: str) -> None:
        super().__init__(job, device)
        data = job.data()
        self.home = jax.devices(device)[0]
        self.x, self.y = self.place(data.scaled()), self.place(data.y.astype(np.int32))
        self.initial = job.initial()
        self.placed = self.place(self.initial)

    def place(self, arrays: Any) -> Any:
        """Copy a tree of arrays to the device."""
        return jax.device_put(arrays, self.home)

    def run_part(self, params: Any, total: Any, part: np.ndarray) -> tuple[Any, Any]:
        """Train on batches of one shape."""
        rate = self.job.learning_rate
        return many_steps(params, total, self.x, self.y, self.place(part), rate)

    def train(self) -> float:
        params, mean = self.place(self.initial), float("nan")
        for epoch in range(1, self.job.epochs + 1):
            total = self.place(np.float32(0))
            for part in self.job.orders(epoch):
                params, total = self.run_part(params, total, part)
            mean = float(total) / self.job.samples
        return mean

    def predict(self) -> np.ndarray:
        return np.asarray(classify(self.placed, self.x))


class Steps(Scan):
    """A jitted step for each batch, called from Python."""

    def run_part(self, params: Any, total: Any, part: np.ndarray) -> tuple[Any, Any]:
        rate = self.job.learning_rate
        for rows in part:
            params, total = one_step(params, total, self.x, self.y, rows, rate)
        return params, total

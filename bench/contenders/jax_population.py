"""JAX: ``vmap`` of a step over the members, ``lax.scan`` over the batches of an epoch."""

from __future__ import annotations

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from bench.contenders.base import Contender
from bench.contenders.jax_loop import update
from bench.jobs import Job


@functools.partial(jax.jit, donate_argnums=(0, 1), static_argnums=5)
def many_steps(params: Any, total: Any, x: Any, y: Any, order: Any, learning_rate: float) -> Any:
    """Train each member on its batches of ``order`` (steps, K, B)."""
    every = jax.vmap(update, in_axes=(0, None, None, 0, None))

    def body(carry: Any, rows: Any) -> tuple[Any, None]:
        params, loss = every(carry[0], x, y, rows, learning_rate)
        return (params, carry[1] + loss), None

    return jax.lax.scan(body, (params, total), order)[0]


class Vmap(Contender):
    """All members as one array per parameter."""

    def __init__(self, job: Job, device: str) -> None:
        super().__init__(job, device)
        data = job.data()
        self.home = jax.devices(device)[0]
        self.x, self.y = self.place(data.scaled()), self.place(data.y.astype(np.int32))
        self.initial = job.stacked_initial()

    def place(self, arrays: Any) -> Any:
        """Copy a tree of arrays to the device."""
        return jax.device_put(arrays, self.home)

    def train(self) -> float:
        params, mean = self.place(self.initial), float("nan")
        for epoch in range(1, self.job.epochs + 1):
            total = jnp.zeros(self.job.members, device=self.home)
            for part in self.job.member_orders(epoch):
                order = self.place(part)
                rate = self.job.learning_rate
                params, total = many_steps(params, total, self.x, self.y, order, rate)
            mean = float(jnp.mean(total)) / self.job.samples
        return mean

    def predict(self) -> np.ndarray:
        raise NotImplementedError

"""The preset ``pack``: networks with random options, of which an ensemble is selected."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from anynet.config import register
from anynet.members import Bounded, number
from anynet.nn.layers import Activation, AnyLayer, CosineEmbedding, Dense, Dropout
from anynet.nn.network import Network
from anynet.optim import Muon
from anynet.seeds import Purpose, host_generator
from anynet.tabular.preset import Plan, Problem

STRUCTURES = (
    8  # numbers of layers, batch sizes and embeddings; networks of one are trained together
)


@register("preset")
@dataclass(frozen=True, kw_only=True)
class Pack(Bounded):
    """TabPack: many networks with random options, and a greedily selected ensemble of them.

    Members differ in depth, batch size, embedding of numbers, dropout, rates and weight decay,
    which are drawn from the published ranges. Those with one structure (depth, batch size,
    embedding) are trained as one population; there are 8 structures, where TabPack draws one for
    each member. All members hold out the same rows. The ensemble is selected after each epoch,
    without replacement, from the present ensemble and the networks that train then; those of one
    structure train until it has not improved for 32 epochs. With checkpoints, it is selected after
    training, from the best epoch of each member.

    It is meant for GPUs: on a CPU, 16 members on 500 rows took 50 CPU seconds (on a shared
    machine).

    Parameters
    ----------
    n_members : int
        Number of networks.
    size : int
        Maximum number of members of the ensemble.
    width : int
        Units of a hidden layer.
    epochs : int
        Maximum number of epochs.
    patience : int
        Number of epochs without a smaller loss of the held-out rows after which a member stops.

    References
    ----------
    "TabPack", ICML 2026, arXiv 2607.05380.
    """

    kind: ClassVar[str] = "pack"
    encoding: ClassVar[str] = "quantile"
    selection: ClassVar[str] = "online"

    n_members: int = number(64, least=1)
    size: int = number(32, least=1)
    width: int = number(384, least=1)
    epochs: int = number(200, least=1)
    patience: int = number(16, least=1)
    folds: bool = False

    def plan(self, problem: Problem) -> Plan:
        """Return the networks for a problem."""
        rng = host_generator(problem.seed, Purpose.OPTIONS)
        count = min(STRUCTURES, self.n_members)
        structures = [self._structure(problem, rng) for _ in range(count)]
        members: list[dict[str, Any]] = []
        for at in range(self.n_members):
            network, batch_size = structures[at % count]
            rate = _log_uniform(rng, 1e-4, 5e-3)
            ratio = _log_uniform(rng, 1e-3, 0.1) / rate
            decay = _log_uniform(rng, 1e-3, 1.0)
            dropout = float(rng.choice([0.0, rng.uniform(0, 0.5)]))
            members.append(
                {
                    "network": network,
                    "batch_size": batch_size,
                    "optimizer": Muon(ratio=ratio, weight_decay=decay),
                    "learning_rate": rate,
                    "dropout": dropout,
                    "seed": problem.seed + at,
                }
            )
        options = {"epochs": self.epochs, "patience": self.patience}
        return Plan(structures[0][0], options, members)

    def _structure(self, problem: Problem, rng: np.random.Generator) -> tuple[Network, int]:
        """Return a network, and a batch size."""
        layers: list[AnyLayer] = []
        if problem.n_numbers:
            width = int(rng.integers(8, 33))
            layers.append(CosineEmbedding(problem.n_numbers, width, _log_uniform(rng, 0.01, 10.0)))
        for _ in range(int(rng.integers(1, 4))):
            layers += [Dense(self.width), Activation("relu"), Dropout(0.1)]
        layers.append(Dense(problem.n_outputs))
        batch_size = int(rng.choice([256, 512, 1024]))
        return Network(problem.n_inputs, tuple(layers)), min(batch_size, problem.n_rows)


def _log_uniform(rng: np.random.Generator, low: float, high: float) -> float:
    """Draw a number whose logarithm is uniform."""
    return math.exp(rng.uniform(math.log(low), math.log(high)))

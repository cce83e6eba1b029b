"""The presets ``tabm`` and ``tabm-mini``: members that share their weights."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from anynet.config import register
from anynet.members import Bounded, number
from anynet.nn.layers import (
    Activation,
    AnyLayer,
    BatchEnsembleDense,
    Dense,
    Dropout,
    EnsembleDense,
    EnsembleInput,
    EnsembleMean,
    EnsembleScale,
    PiecewiseLinearEmbedding,
)
from anynet.nn.network import Network
from anynet.optim import AdamW
from anynet.tabular.preset import Plan, Problem


@dataclass(frozen=True, kw_only=True)
class _TabM(Bounded):
    """Common options of both presets."""

    kind: ClassVar[str]
    encoding: ClassVar[str] = "quantile"
    selection: ClassVar[str] = "all"

    n_members: int = number(32, least=1)
    width: int = number(512, least=1)
    depth: int | None = number(None, least=1)
    learning_rate: float = number(2e-3)
    weight_decay: float = number(3e-4)
    dropout: float = number(0.1, below=1)
    bins: int = number(48, least=2)
    epochs: int = number(1000, least=1)
    patience: int = number(16, least=1)
    folds: bool = False

    def _hidden(self, embedded: bool) -> list[AnyLayer]:
        raise NotImplementedError

    def plan(self, problem: Problem) -> Plan:
        """Return the network for a problem."""
        k, embedded = self.n_members, problem.n_numbers > 0
        layers: list[AnyLayer] = []
        if embedded:
            layers.append(PiecewiseLinearEmbedding(problem.n_numbers, self.bins, 16))
        link = "softmax" if problem.task == "classes" else "identity"
        layers += [EnsembleInput(k), *self._hidden(embedded)]
        layers += [EnsembleDense(problem.n_outputs, k), EnsembleMean(k, link)]
        options = {
            "epochs": self.epochs,
            "batch_size": min(batch_size_for(problem.n_rows), problem.n_rows),
            "optimizer": AdamW(weight_decay=self.weight_decay),
            "learning_rate": self.learning_rate,
            "clip_norm": 1.0,
            "patience": self.patience,
        }
        network = Network(problem.n_inputs, tuple(layers))
        return Plan(network, options, [{"seed": problem.seed}])

    def _blocks(self, embedded: bool) -> int:
        return self.depth or (2 if embedded else 3)

    def _after(self) -> list[AnyLayer]:
        dropout = [Dropout(self.dropout)] if self.dropout else []
        return [Activation("relu"), *dropout]


@register("preset")
@dataclass(frozen=True, kw_only=True)
class TabM(_TabM):
    """TabM with embeddings of numbers: 32 networks that share the weights of their layers.

    Each member multiplies the inputs and the outputs of every shared layer by factors of its own,
    and has its own biases and its own last layer.

    Parameters
    ----------
    n_members : int
        Number of members, k.
    width : int
        Units of a hidden layer.
    depth : int, optional
        Number of hidden layers; by default 2, or 3 for a table without numbers.
    learning_rate, weight_decay, dropout : float
    bins : int
        Number of bins of a number.
    epochs : int
        Maximum number of epochs.
    patience : int
        Number of epochs without a smaller loss of the held-out rows after which training stops.

    References
    ----------
    Gorishniy et al. 2025, "TabM: Advancing Tabular Deep Learning with Parameter-Efficient
    Ensembling", section 3.3 and appendix.
    """

    kind: ClassVar[str] = "tabm"

    def _hidden(self, embedded: bool) -> list[AnyLayer]:
        layers: list[AnyLayer] = []
        first = "normal" if embedded else "signs"
        for at in range(self._blocks(embedded)):
            gains = "ones" if at else first
            layers.append(BatchEnsembleDense(self.width, self.n_members, gains))
            layers += self._after()
        return layers


@register("preset")
@dataclass(frozen=True, kw_only=True)
class TabMMini(_TabM):
    """TabM-mini: one network, of which 32 members see inputs multiplied by factors of their own.

    Parameters
    ----------
    n_members, width, depth, learning_rate, weight_decay, dropout, bins, epochs, patience
        As in ``TabM``.

    References
    ----------
    Gorishniy et al. 2025, "TabM: Advancing Tabular Deep Learning with Parameter-Efficient
    Ensembling", section 3.3.
    """

    kind: ClassVar[str] = "tabm-mini"

    def _hidden(self, embedded: bool) -> list[AnyLayer]:
        layers: list[AnyLayer] = [
            EnsembleScale(self.n_members, "normal" if embedded else "signs"),
        ]
        for _ in range(self._blocks(embedded)):
            layers.append(Dense(self.width, "torch_uniform", "torch_uniform"))
            layers += self._after()
        return layers


def batch_size_for(n_rows: int) -> int:
    """Return the batch size of TabM for a number of training rows.

    References
    ----------
    Gorishniy et al. 2025, "TabM: Advancing Tabular Deep Learning with Parameter-Efficient
    Ensembling", appendix.
    """
    limits = ((2_800, 32), (4_500, 64), (6_400, 128), (32_000, 256), (108_000, 512))
    return next((size for limit, size in limits if n_rows < limit), 1024)

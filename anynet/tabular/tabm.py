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
from anynet.optim import AdamW, Group
from anynet.space import Range, Space
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
    embedding_width: int = number(16, least=1)
    epochs: int = number(1000, least=1)
    patience: int = number(16, least=1)
    folds: bool = False

    space: ClassVar[Space] = {
        "learning_rate": Range(1e-4, 3e-3, log=True),
        "weight_decay": [0.0, Range(1e-4, 1e-1, log=True)],
        "depth": [2, 3, 4, 5],
        "width": list(range(128, 1025, 16)),
        "dropout": [0.0, Range(0.0, 0.5)],
        "embedding_width": list(range(8, 33, 4)),
        "bins": Range(2, 128),
    }

    def _hidden(self, depth: int, gains: str, chunks: tuple[int, ...]) -> list[AnyLayer]:
        """Return the hidden layers; ``gains`` and ``chunks`` make the members differ."""
        raise NotImplementedError

    def plan(self, problem: Problem) -> Plan:
        """Return the network for a problem."""
        k, n_numbers, width = self.n_members, problem.n_numbers, self.embedding_width
        layers: list[AnyLayer] = []
        if n_numbers:
            bins = max(1, min(self.bins, problem.n_rows - 1))
            layers.append(PiecewiseLinearEmbedding(n_numbers, bins, width))
        depth, gains = (2, "normal") if n_numbers else (3, "signs")
        chunks = (width,) * n_numbers + problem.widths  # one draw for each column
        link = "softmax" if problem.task == "classes" else "identity"
        layers += [EnsembleInput(k), *self._hidden(self.depth or depth, gains, chunks)]
        layers += [EnsembleDense(problem.n_outputs, k), EnsembleMean(k, link)]
        factor = problem.gradient_factor
        groups = (
            Group(name="bias", decay=0.0),
            Group(layer="piecewise_linear_embedding", name="weight", decay=0.0),
            Group(decay=1.0),
        )
        options = {
            "epochs": self.epochs,
            "batch_size": min(batch_size_for(problem.n_rows), problem.n_rows),
            "optimizer": AdamW(
                epsilon=1e-8 * factor, weight_decay=self.weight_decay, groups=groups
            ),
            "learning_rate": self.learning_rate,
            "clip_norm": factor,
            "patience": self.patience,
        }
        network = Network(problem.n_inputs, tuple(layers))
        return Plan(network, options, [{"seed": problem.seed}])

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
        Biases do not decay, nor does the linear part of the embedding; all other parameters do.
    bins, embedding_width : int
        Number of bins of a number, and of its embedded features.
    epochs : int
        Maximum number of epochs.
    patience : int
        Number of epochs without a smaller loss of the held-out rows after which training stops.

    Notes
    -----
    Differences from the published recipe: the epoch is selected by the loss and not by the
    accuracy, of which few validation rows give many equal values (``eval_metric="accuracy"`` is as
    published); training stops after ``patience`` epochs, in some published code one later; there is
    a maximum of ``epochs``; the remainder of the rows is the first batch of an epoch and not the
    last one; quantiles, and mean and standard deviation of the target, are those of all rows that
    ``fit`` receives, not of the training rows alone; the noise of the quantiles is relative to the
    spread of a column. The gradient of values is half the published one, and so are its maximum
    norm and ε of Adam, which leaves the updates unchanged.

    ``space``, from which ``anynet.tune`` draws, is that of TabArena for TabM-mini.

    References
    ----------
    Gorishniy et al. 2025, "TabM: Advancing Tabular Deep Learning with Parameter-Efficient
    Ensembling", section 3.3 and appendix.
    """

    kind: ClassVar[str] = "tabm"

    def _hidden(self, depth: int, gains: str, chunks: tuple[int, ...]) -> list[AnyLayer]:
        layers: list[AnyLayer] = []
        for _ in range(depth):
            layers.append(BatchEnsembleDense(self.width, self.n_members, gains, chunks))
            layers += self._after()
            gains, chunks = "ones", ()
        return layers


@register("preset")
@dataclass(frozen=True, kw_only=True)
class TabMMini(_TabM):
    """TabM-mini: one network, of which 32 members see inputs multiplied by factors of their own.

    Parameters
    ----------
    n_members, width, depth, learning_rate, weight_decay, dropout, bins, embedding_width, epochs
        As in ``TabM``.
    patience : int
        As in ``TabM``, like the differences from the published recipe.

    References
    ----------
    Gorishniy et al. 2025, "TabM: Advancing Tabular Deep Learning with Parameter-Efficient
    Ensembling", section 3.3.
    """

    kind: ClassVar[str] = "tabm-mini"

    def _hidden(self, depth: int, gains: str, chunks: tuple[int, ...]) -> list[AnyLayer]:
        layers: list[AnyLayer] = [EnsembleScale(self.n_members, gains, chunks)]
        for _ in range(depth):
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

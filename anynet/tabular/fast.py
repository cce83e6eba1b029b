"""The presets ``fast`` and ``auto``: piecewise-linear numbers, and an ensemble of networks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from anynet.config import register
from anynet.members import Bounded, number
from anynet.nn.layers import Activation, AnyLayer, Dense, Dropout, PiecewiseLinear
from anynet.nn.network import Network
from anynet.optim import AdamW, Cosine
from anynet.tabular.preset import Plan, Problem, batch_size_for


@register("preset")
@dataclass(frozen=True, kw_only=True)
class Fast(Bounded):
    """Networks on piecewise-linear encoded numbers, trained together; their mean predicts.

    Each member holds out another part of the rows, and the epoch with the least loss of these is
    kept.

    Parameters
    ----------
    n_members : int
        Number of networks.
    bins : int, optional
        Number of bins of a number; by default it suits the number of rows.
    batch_size : int, optional
        By default it suits the number of rows.
    width, depth : int
        Units of a hidden layer, and number of hidden layers.
    learning_rate : float
    weight_decay : float
    dropout : float
    epochs : int
        Maximum number of epochs.
    patience : int
        Number of epochs without a smaller loss of the held-out rows after which a member stops.
    """

    kind: ClassVar[str] = "fast"
    encoding: ClassVar[str] = "robust"
    selection: ClassVar[str] = "all"

    n_members: int = number(5, least=1)
    bins: int | None = number(None, least=2)
    batch_size: int | None = number(None, least=1)
    width: int = number(128, least=1)
    depth: int = number(2, least=1)
    learning_rate: float = number(2e-3)
    weight_decay: float = number(1e-2)
    dropout: float = number(0.1, below=1)
    epochs: int = number(100, least=1)
    patience: int = number(16, least=1)
    folds: bool = True

    def plan(self, problem: Problem) -> Plan:
        """Return the networks for a problem."""
        layers: list[AnyLayer] = []
        if problem.n_numbers:
            bins = self.bins or PiecewiseLinear.bins_for(problem.n_rows)
            layers.append(PiecewiseLinear(problem.n_numbers, bins, keep_input=True))
        for _ in range(self.depth):
            layers += [Dense(self.width), Activation("relu")]
            if self.dropout:
                layers.append(Dropout(self.dropout))
        layers.append(Dense(problem.n_outputs))
        batch_size = self.batch_size or batch_size_for(problem.n_rows)
        options: dict[str, Any] = {
            "epochs": self.epochs,
            "batch_size": batch_size,
            "optimizer": AdamW(weight_decay=self.weight_decay),
            "learning_rate": Cosine(self.learning_rate, self.epochs),
            "patience": self.patience,
        }
        members = [{"seed": problem.seed + member} for member in range(self.n_members)]
        return Plan(Network(problem.n_inputs, tuple(layers)), options, members)


@register("preset")
@dataclass(frozen=True, kw_only=True)
class Auto(Fast):
    """The preset for any table: ``fast`` with numbers of networks and units that fit the table."""

    kind: ClassVar[str] = "auto"

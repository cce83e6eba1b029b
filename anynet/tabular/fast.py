"""The presets ``fast`` and ``auto``: networks that hold out different rows, and their mean."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from anynet.checks import check_choice
from anynet.config import register
from anynet.members import Bounded, number
from anynet.nn.layers import (
    Activation,
    AnyLayer,
    Dense,
    Dropout,
    PiecewiseLinear,
    PiecewiseLinearEmbedding,
)
from anynet.nn.network import Network
from anynet.optim import AdamW, Cosine
from anynet.tabular.preset import Plan, Problem

NUMBERS = ("embedding", "bins", "plain")


@register("preset")
@dataclass(frozen=True, kw_only=True)
class Fast(Bounded):
    """A few networks on piecewise-linear encoded numbers; their mean predicts.

    Each member holds out another part of the rows, and the epoch with the least loss of these is
    kept.

    Parameters
    ----------
    n_members : int
        Number of networks.
    numbers : {"embedding", "bins", "plain"}
        How numbers enter the first dense layer: as a learned embedding of their piecewise-linear
        encoding (``anynet.nn.PiecewiseLinearEmbedding``), as that encoding beside the standardised
        number (``anynet.nn.PiecewiseLinear``), or as the standardised number alone.
    bins : int, optional
        Number of bins of a number; by default it suits the number of rows.
    embedding_width : int
        Length of the embedding of a number.
    width, depth : int
        Units of a hidden layer, and number of hidden layers.
    activation : str
        A name of ``anynet.nn.ACTIVATIONS``.
    dropout : float
    learning_rate, weight_decay : float
        Of ``AdamW``; the rate falls along half a cosine.
    batch_size : int, optional
        By default it suits the number of rows.
    epochs : int
        Maximum number of epochs.
    patience : int
        Number of epochs without a smaller loss of the held-out rows after which a member stops.

    References
    ----------
    Gorishniy, Rubachev and Babenko 2022, "On Embeddings for Numerical Features in Tabular Deep
    Learning", for the encoding. The numbers were chosen on tables of this project, see
    docs/tables.md.

    Examples
    --------
    >>> import anynet
    >>> model = anynet.TabularClassifier(anynet.tabular.Fast(n_members=4))
    """

    kind: ClassVar[str] = "fast"
    encoding: ClassVar[str] = "robust"
    selection: ClassVar[str] = "all"

    n_members: int = number(5, least=1)
    numbers: str = "embedding"
    bins: int | None = number(None, least=2)
    embedding_width: int = number(16, least=1)
    width: int = number(128, least=1)
    depth: int = number(2, least=1)
    activation: str = "relu"
    dropout: float = number(0.1, below=1)
    learning_rate: float = number(1.5e-3)
    weight_decay: float = number(1e-2)
    batch_size: int | None = number(None, least=1)
    epochs: int = number(100, least=1)
    patience: int = number(16, least=1)
    folds: bool = True

    def __post_init__(self) -> None:
        super().__post_init__()
        check_choice("numbers", self.numbers, NUMBERS)

    def plan(self, problem: Problem) -> Plan:
        """Return the networks for a problem."""
        layers = _numbers(self, problem)
        for _ in range(self.depth):
            layers += [Dense(self.width), Activation(self.activation)]
            if self.dropout:
                layers.append(Dropout(self.dropout))
        layers.append(Dense(problem.n_outputs))
        options: dict[str, Any] = {
            "epochs": self.epochs,
            "batch_size": self.batch_size or batch_size_for(problem.n_rows),
            "optimizer": AdamW(weight_decay=self.weight_decay),
            "learning_rate": Cosine(self.learning_rate),
            "patience": self.patience,
        }
        members = [{"seed": problem.seed + member} for member in range(self.n_members)]
        return Plan(Network(problem.n_inputs, tuple(layers)), options, members)


@register("preset")
@dataclass(frozen=True, kw_only=True)
class Auto(Bounded):
    """The default preset: three kinds of ``fast`` networks, which err in different ways.

    Up to 10,000 rows the members are three networks on bins of numbers, three deeper ones on
    embeddings of numbers, and three with short embeddings and SiLU. For more rows there are
    three of each of the last two kinds. In a table without numbers the kinds differ in depth and
    activation only.

    Parameters
    ----------
    n_each : int
        Number of networks of each kind.
    width : int
        Units of a hidden layer.
    epochs : int
        Maximum number of epochs.
    patience : int
        See ``Fast``.
    """

    kind: ClassVar[str] = "auto"
    encoding: ClassVar[str] = "robust"
    selection: ClassVar[str] = "all"

    n_each: int = number(3, least=1)
    width: int = number(128, least=1)
    epochs: int = number(64, least=1)
    patience: int = number(12, least=1)
    folds: bool = True

    def plan(self, problem: Problem) -> Plan:
        """Return the networks for a problem."""
        common: dict[str, Any] = {
            "n_members": self.n_each,
            "width": self.width,
            "epochs": self.epochs,
            "patience": self.patience,
        }
        kinds = [
            Fast(numbers="bins", **common),
            Fast(depth=3, learning_rate=1e-3, **common),
            Fast(embedding_width=8, activation="silu", **common),
        ]
        if problem.n_rows > SMALL:
            kinds = kinds[1:]
        members: list[dict[str, Any]] = []
        for kind in kinds:
            # Members of all kinds hold out different rows: their place counts the folds.
            plan = kind.plan(problem._replace(seed=problem.seed + len(members)))
            rate = plan.options["learning_rate"]
            own = {"network": plan.network, "learning_rate": rate}
            members += [own | dict(one) for one in plan.members]
        return Plan(plan.network, plan.options, members)


SMALL = 10_000  # rows


def _numbers(preset: Fast, problem: Problem) -> list[AnyLayer]:
    """Return the layer that encodes the numbers, if any."""
    columns = problem.n_numbers
    if not columns or preset.numbers == "plain":
        return []
    bins = preset.bins or PiecewiseLinear.bins_for(problem.n_rows)
    if preset.numbers == "bins":
        return [PiecewiseLinear(columns, bins, keep_input=True)]
    return [PiecewiseLinearEmbedding(columns, bins, preset.embedding_width)]


def batch_size_for(n_rows: int) -> int:
    """Return a batch size for a number of training rows."""
    return next((size for limit, size in ((8_000, 128), (32_000, 256)) if n_rows < limit), 512)

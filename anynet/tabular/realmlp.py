"""The presets ``realmlp-s`` and ``realmlp``: RealMLP with its tuned defaults."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from anynet.config import register
from anynet.members import Bounded, number
from anynet.nn.layers import (
    PBLD,
    Activation,
    AnyLayer,
    Dense,
    Dropout,
    Embedding,
    FeatureScale,
    ParametricActivation,
)
from anynet.nn.network import Network
from anynet.optim import Adam, AdamW, CosLog4, FlatCos, Group
from anynet.space import Range, Space
from anynet.tabular.preset import Plan, Problem


@dataclass(frozen=True, kw_only=True)
class _RealMLP(Bounded):
    """Common options of both presets.

    Parameters
    ----------
    n_members : int
        Number of networks, which differ in their seeds; their mean predicts.
    width, depth : int
        Units of a hidden layer, and number of hidden layers.
    epochs : int
    batch_size : int
    label_smoothing : float
        For classes.
    """

    kind: ClassVar[str]
    selection: ClassVar[str] = "all"

    n_members: int = number(1, least=1)
    width: int = number(256, least=1)
    depth: int = number(3, least=1)
    epochs: int = number(256, least=1)
    batch_size: int = number(256, least=1)
    label_smoothing: float = number(0.1, below=1)
    folds: bool = False

    def _plan(self, layers: list[AnyLayer], problem: Problem, **options: Any) -> Plan:
        """Return the plan of a network, with the options that both presets share."""
        common: dict[str, Any] = {
            "epochs": self.epochs,
            "batch_size": min(self.batch_size, problem.n_rows),
            "drop_last": True,
            "patience": None,
            "ties": "last",
            "scoring": "accuracy" if problem.task == "classes" else "loss",
        }
        if problem.task == "classes":
            common["label_smoothing"] = self.label_smoothing
        seeds = range(problem.seed, problem.seed + self.n_members)
        members = [{"seed": seed} for seed in seeds]
        return Plan(Network(problem.n_inputs, tuple(layers)), common | options, members)


@register("preset")
@dataclass(frozen=True, kw_only=True)
class RealMLPS(_RealMLP):
    """RealMLP-TD-S, the simplified form of RealMLP.

    Columns are scaled robustly and clipped smoothly, one-hot inputs included; a learned factor of
    each input is followed by three hidden layers in the neural tangent parametrisation (SELU for
    classes, Mish for values), trained by Adam with the schedule coslog4. The epoch with the best
    accuracy, or the least squared error, is kept; of several the last.

    Parameters
    ----------
    n_members, width, depth, epochs, batch_size, label_smoothing
        Numbers of networks, of units, of layers, of epochs and of rows in a batch, and the label
        smoothing for classes.
    learning_rate : float, optional
        By default 0.04 for classes, and 0.07 for values.

    Notes
    -----
    Differences from the published recipe: the validation rows are stratified; medians, quartiles,
    and mean and standard deviation of the target, are those of all rows that ``fit`` receives, not
    of the training rows alone; of more than 50 categories the rarer ones share an input; missing
    numbers, which published code does not take, become the median, with an indicator. The gradient
    of values is half the published one, and so is ε of Adam, which leaves the updates unchanged.

    References
    ----------
    Holzmüller, Grinsztajn and Steinwart 2024, "Better by Default: Strong Pre-Tuned MLPs and
    Boosted Trees on Tabular Data", table A.2.
    """

    kind: ClassVar[str] = "realmlp-s"
    encoding: ClassVar[str] = "realmlp-s"

    learning_rate: float | None = number(None, above=0)

    def plan(self, problem: Problem) -> Plan:
        """Return the networks for a problem."""
        classes = problem.task == "classes"
        layers: list[AnyLayer] = [FeatureScale()]
        for _ in range(self.depth):
            layers.append(Dense(self.width, "lecun_normal", "standard_normal", ntk=True))
            layers.append(Activation("selu" if classes else "mish"))
        layers.append(Dense(problem.n_outputs, "zeros", ntk=True))
        groups = (Group(layer="feature_scale", rate=6.0), Group(name="bias", rate=0.1))
        rate = self.learning_rate or (0.04 if classes else 0.07)
        return self._plan(
            layers,
            problem,
            optimizer=Adam(beta_2=0.95, epsilon=1e-8 * problem.gradient_factor, groups=groups),
            learning_rate=CosLog4(rate),
        )


@register("preset")
@dataclass(frozen=True, kw_only=True)
class RealMLP(_RealMLP):
    """RealMLP-TD: RealMLP with periodic embeddings of numbers, and fitted initial weights.

    In addition to ``realmlp-s``: columns with more than 8 categories are embedded, numbers pass a
    ``PBLD`` layer, activations are parametric, initial weights and biases are fitted to the rows,
    and there are dropout and weight decay that follow the schedule flat_cos.

    Parameters
    ----------
    n_members, width, depth, epochs, batch_size, label_smoothing
        As in ``RealMLPS``.
    learning_rate : float, optional
        By default 0.04 for classes, and 0.2 for values.
    dropout, weight_decay : float
        In the first half of the epochs.
    activation : str, optional
        A name of ``anynet.nn.ACTIVATIONS``; by default selu for classes, and mish for values.
    sigma : float
        Standard deviation of the initial frequencies of the embedding.
    embedding_rate, scale_rate, first_rate : float
        Factors of the learning rate: of the embedding of numbers, of the scale of the inputs, and
        of the first hidden layer.

    Notes
    -----
    Differences from the published recipe are those of ``RealMLPS``; and values are clamped to
    the range of all rows that ``fit`` receives, after the epoch was selected. Initial weights are
    fitted to at most 4096 rows.

    ``space``, from which ``anynet.tune`` draws, is that of TabArena without the options that change
    the size of the embedding and the number of epochs, β₂ of Adam, which all members of a
    population share, and the schedule of the label smoothing, which is constant.

    References
    ----------
    Holzmüller, Grinsztajn and Steinwart 2024, "Better by Default: Strong Pre-Tuned MLPs and
    Boosted Trees on Tabular Data", table A.1.
    """

    kind: ClassVar[str] = "realmlp"
    encoding: ClassVar[str] = "realmlp"

    learning_rate: float | None = number(None, above=0)
    dropout: float = number(0.15, below=1)
    weight_decay: float = number(0.02)
    activation: str | None = None
    sigma: float = number(0.1)
    embedding_rate: float = number(0.1)
    scale_rate: float = number(6.0)
    first_rate: float = number(1.0)

    space: ClassVar[Space] = {
        "depth": [2, 3, 4],
        "width": [256, 384, 512],
        "activation": ["mish"],
        "learning_rate": Range(2e-2, 0.3, log=True),
        "dropout": Range(0.0, 0.5),
        "weight_decay": Range(1e-3, 5e-2, log=True),
        "label_smoothing": [0.0, Range(5e-3, 0.1, log=True)],
        "sigma": Range(1e-2, 50.0, log=True),
        "embedding_rate": Range(5e-2, 0.3, log=True),
        "scale_rate": Range(2.0, 10.0, log=True),
        "first_rate": Range(0.3, 1.5, log=True),
    }

    def plan(self, problem: Problem) -> Plan:
        """Return the networks for a problem."""
        classes = problem.task == "classes"
        activation = self.activation or ("selu" if classes else "mish")
        # The decay of a parameter is multiplied by the factor of its rate twice: once as part of
        # the rate, once here.
        groups = [
            Group(layer="feature_scale", rate=self.scale_rate, decay=self.scale_rate),
            Group(layer="parametric_activation", rate=0.1, decay=0.1),
        ]
        layers: list[AnyLayer] = []
        if problem.n_numbers:
            layers.append(PBLD(problem.n_numbers, sigma=self.sigma))
            rate = self.embedding_rate
            groups.append(Group(layer="pbld", rate=rate, decay=rate))
        if problem.levels:
            layers.append(Embedding(problem.levels, 8))
        layers.append(FeatureScale())
        first, rate = len(layers), self.first_rate
        groups += [
            Group(index=first, name="weight", rate=rate, decay=rate),
            Group(index=first, name="bias", rate=0.1 * rate, decay=0.0),
            Group(name="bias", rate=0.1, decay=0.0),
        ]
        for _ in range(self.depth):
            layers.append(Dense(self.width, "unit_std", "he+5", ntk=True))
            layers.append(ParametricActivation(activation))
            if self.dropout:
                layers.append(Dropout(self.dropout))
        layers.append(Dense(problem.n_outputs, "unit_std", "he+5", ntk=True))
        options: dict[str, Any] = {"weight_decay": FlatCos(self.weight_decay)}
        if self.dropout:
            options["dropout"] = FlatCos(self.dropout)
        return self._plan(
            layers,
            problem,
            optimizer=AdamW(
                beta_2=0.95, epsilon=1e-8 * problem.gradient_factor, groups=tuple(groups)
            ),
            learning_rate=CosLog4(self.learning_rate or (0.04 if classes else 0.2)),
            **options,
        )

"""The constraints on the parameters of both estimators; scikit-learn checks them in ``fit``."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from numbers import Integral, Real
from typing import Any

import numpy as np
from sklearn.metrics import get_scorer_names
from sklearn.utils._param_validation import HasMethods, Interval, Options, StrOptions

from anynet.checks import accepts_call
from anynet.estimators.network import ALIASES
from anynet.nn.activations import ACTIVATIONS
from anynet.nn.losses import LOSSES
from anynet.optim.optimizers import OPTIMIZERS


class Such(HasMethods):
    """A constraint: a condition that holds for an object; a class in its place is refused.

    It extends a constraint of scikit-learn, which accepts no other kinds.

    Parameters
    ----------
    words : str or callable
        Description for the message; a function is called when the message is made.
    condition : callable
        ``value -> bool``.
    """

    def __init__(self, words: str | Callable[[], str], condition: Callable[[Any], bool]) -> None:
        super().__init__([])
        self.words = words
        self.condition = condition

    def is_satisfied_by(self, val: Any) -> bool:
        """Return whether a value is accepted."""
        return not isinstance(val, type) and self.condition(val)

    def __str__(self) -> str:
        return self.words if isinstance(self.words, str) else self.words()


def one_of(names: Callable[[], Iterable[str]]) -> Such:
    """Return a constraint: a name among those that there are when a value is checked."""

    def words() -> str:
        return f"a str among {{{', '.join(map(repr, sorted(names())))}}}"

    return Such(words, lambda value: isinstance(value, str) and value in {*names()})


OPTIMIZER = Such(
    "an optimizer such as anynet.optim.AdamW(weight_decay=0.1)",
    lambda value: hasattr(value, "init") and hasattr(value, "update"),
)
SCHEDULE = Such(
    "a schedule such as anynet.optim.Cosine(0.01)",
    lambda value: accepts_call(value, 0, 1, backend=None),
)
SCORER = Such(
    "a scorer (estimator, X, y) -> float such as sklearn.metrics.make_scorer(metric)",
    lambda value: accepts_call(value, None, None, None),
)
CALLBACKS = Such(
    "a list or tuple of functions that take an EpochRecord",
    lambda value: (
        isinstance(value, (list, tuple))
        and all(not isinstance(one, type) and accepts_call(one, None) for one in value)
    ),
)
VALUE_LOSS = Such(
    "a loss of values such as anynet.nn.Huber(2.0)",
    lambda value: callable(value) and getattr(value, "task", "") == "values",
)
SCORES = StrOptions({"loss", *get_scorer_names()})

VALUE_LOSS_NAME = one_of(
    lambda: {name for name, loss in LOSSES.items() if getattr(loss, "task", "") == "values"}
)

CONSTRAINTS: dict[str, list[Any]] = {
    "hidden_layer_sizes": ["array-like", Interval(Integral, 1, None, closed="left")],
    "activation": [one_of(lambda: {*ACTIVATIONS, *ALIASES}), list, tuple],
    "solver": [one_of(lambda: {"lbfgs", *OPTIMIZERS}), OPTIMIZER],
    "alpha": [Interval(Real, 0, None, closed="left")],
    "batch_size": [StrOptions({"auto"}), Interval(Integral, 1, None, closed="left")],
    "learning_rate": [StrOptions({"constant", "invscaling", "adaptive"}), SCHEDULE],
    "learning_rate_init": [Interval(Real, 0, None, closed="neither")],
    "power_t": [Interval(Real, 0, None, closed="left")],
    "max_iter": [Interval(Integral, 1, None, closed="left")],
    "shuffle": ["boolean"],
    "random_state": ["random_state"],
    "tol": [Interval(Real, 0, None, closed="left")],
    "verbose": ["verbose"],
    "warm_start": ["boolean"],
    "momentum": [Interval(Real, 0, 1, closed="both")],
    "nesterovs_momentum": ["boolean"],
    "early_stopping": ["boolean"],
    "validation_fraction": [Interval(Real, 0, 1, closed="left")],
    "beta_1": [Interval(Real, 0, 1, closed="left")],
    "beta_2": [Interval(Real, 0, 1, closed="left")],
    "epsilon": [Interval(Real, 0, None, closed="neither")],
    "n_iter_no_change": [Interval(Integral, 1, None, closed="left"), Options(Real, {np.inf})],
    "max_fun": [Interval(Integral, 1, None, closed="left")],
    "dropout": [Interval(Real, 0, 1, closed="left")],
    "layer_norm": ["boolean"],
    "scoring": [SCORES, SCORER, None],
    "callbacks": [CALLBACKS, None],
    "progress_bar": ["boolean"],
    "n_ensemble": [Interval(Integral, 1, None, closed="left")],
    "backend": [StrOptions({"auto", "numpy", "cupy", "torch", "jax"}), None],
    "device": [str, None],
}

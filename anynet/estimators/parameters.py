"""The parameters that both estimators share: their constraints and their documentation."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from numbers import Integral, Real
from typing import Any, TypeVar

import numpy as np
from sklearn.metrics import get_scorer_names
from sklearn.utils._param_validation import HasMethods, Interval, Options, StrOptions

from anynet.checks import accepts_call
from anynet.estimators.network import ALIASES
from anynet.nn.activations import ACTIVATIONS
from anynet.nn.losses import LOSSES
from anynet.optim.optimizers import OPTIMIZERS

Estimator = TypeVar("Estimator", bound=type)


class Such(HasMethods):
    """An object of which a condition holds; a class, in place of one of its objects, is refused.

    It extends a constraint of scikit-learn's because no other kinds are let pass.

    Parameters
    ----------
    words : str or callable
        What it is, for the message; a function is called when the message is made.
    condition : callable
        ``value -> bool``.
    """

    def __init__(self, words: str | Callable[[], str], condition: Callable[[Any], bool]) -> None:
        super().__init__([])
        self.words = words
        self.condition = condition

    def is_satisfied_by(self, val: Any) -> bool:
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
    "a schedule such as anynet.optim.Cosine(0.01, epochs=20)",
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
    "scoring": [StrOptions({"loss", *get_scorer_names()}), SCORER, None],
    "callbacks": [CALLBACKS, None],
    "progress_bar": ["boolean"],
    "n_ensemble": [Interval(Integral, 1, None, closed="left")],
    "backend": [StrOptions({"auto", "numpy", "cupy", "torch", "jax"}), None],
    "device": [str, None],
}

PARAMETERS = """hidden_layer_sizes : int or sequence of int
        The units of each hidden layer; an empty sequence makes a linear model.
    activation : str or sequence of str
        After each hidden layer, one for all or one each: ``identity``, ``logistic``, ``tanh``,
        ``relu``, or ``leaky_relu``, ``elu``, ``selu``, ``gelu``, ``silu``, ``mish``.
    solver : str or Optimizer
        ``adam``, ``sgd`` and ``lbfgs`` are scikit-learn's; ``rmsprop`` and ``adamw`` are, like any
        optimizer of ``anynet.optim``, in torch's conventions.
    alpha : float
        The L2 penalty ½ α ‖W‖² of the weights, divided by the number of samples of the batch, or
        by the sum of their weights.
    batch_size : int or "auto"
        Samples an update; ``auto`` is min(200, n_samples). L-BFGS takes all at once.
    learning_rate : {"constant", "invscaling", "adaptive"} or Schedule
        The names are scikit-learn's and act on ``sgd``; a schedule of ``anynet.optim`` goes with
        every stochastic solver and brings its own rate.
    learning_rate_init, power_t : float
        The initial rate, and the exponent of ``invscaling``.
    max_iter : int
        At most so many epochs, or iterations of L-BFGS.
    shuffle : bool
        Whether each epoch has an order of its own.
    random_state : int, RandomState or None
        Draws the initial weights, the split and the orders, number for number as scikit-learn.
    tol, n_iter_no_change : float, int or inf
        Converged when for more than so many epochs the loss (or with ``early_stopping`` the
        score) did not improve by ``tol``. L-BFGS stops at a gradient of ``tol``.
    verbose : bool or int
        Print each epoch.
    warm_start : bool
        Whether ``fit`` goes on from the weights there are.
    momentum, nesterovs_momentum : float, bool
        Of ``sgd``.
    early_stopping : bool
        Stop on the score of a validation set, and keep the weights that had the best.
    validation_fraction : float
        The share that is split off for it, by classes where there are enough of each, unless
        ``fit`` is given ``X_val`` and ``y_val``.
    beta_1, beta_2, epsilon : float
        Of ``adam``.
    max_fun : int
        At most so many evaluations of the loss by L-BFGS."""

EXTENSIONS = """dropout : float
        The share of each hidden layer's outputs that is dropped while training.
    layer_norm : bool
        Whether each hidden layer is normalised before its activation.
    scoring : str, callable or None
        How the validation set is scored: a name of ``sklearn.metrics.get_scorer_names()``, a
        scorer, ``"loss"``, or None for ``score``. Scorers see NumPy arrays; where one gives NaN
        there is no improvement.
    callbacks : sequence of callable or None
        Each takes an ``EpochRecord`` after every epoch, and may return True to stop.
    progress_bar : bool
        Show the epochs by tqdm.
    n_ensemble : int
        Train so many networks of seeds of their own at once, as one population; predictions are
        the mean of their probabilities or values.
    backend : {"auto", "numpy", "cupy", "torch", "jax"} or None
        Where to compute, see ``get_backend``; None is where ``X`` lives, NumPy for host data.
    device : str or None
        ``cpu``, ``cuda``, ``cuda:1``, …; alone it chooses the backend that serves it."""

ATTRIBUTES = """coefs_, intercepts_ : list of array
        The weights (n_in, n_out) and biases (n_out,) of each layer, where ``X`` lives. Set them
        and the estimator predicts by them.
    norm_gains_, norm_biases_ : list of array
        The same for normalised layers, with ``layer_norm``.
    loss_, loss_curve_, best_loss_ : float, list of float, float or None
        The mean training loss with the penalty: the last, each epoch's, and the smallest (None
        with ``early_stopping``).
    validation_scores_, validation_loss_curve_ : list of float or None
        Each epoch's, where there is a validation set; its loss has no penalty.
    best_validation_score_ : float or None
    n_iter_, t_ : int
        Epochs (or iterations) of the last fit, and samples seen in all.
    n_layers_, n_outputs_, out_activation_ : int, int, str
    n_features_in_, feature_names_in_ : int, ndarray of str
    estimators_ : list of estimator
        With ``n_ensemble`` above 1 the fitted networks, each with the attributes above, and a
        ``random_state`` that trains it alone; the ensemble itself then has ``classes_`` (of a
        classifier), the last two lines, and the largest ``n_iter_`` of them."""


def documented(estimator: Estimator) -> Estimator:
    """Fill the shared sections into the docstring of an estimator."""
    sections = {
        "{parameters}": PARAMETERS,
        "{extensions}": EXTENSIONS,
        "{attributes}": ATTRIBUTES,
    }
    for name, text in sections.items():
        estimator.__doc__ = (estimator.__doc__ or "").replace(name, text)
    return estimator

"""The base class of the classifier and the regressor: ``fit`` and the forward pass."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, Self, TypeVar

import numpy as np
from sklearn.base import _fit_context
from sklearn.utils.validation import check_is_fitted

from anynet import tree
from anynet.backends import Backend
from anynet.estimators.arrays import choose_backend, deliver, dtype_of, float_name, home_of, infer
from anynet.estimators.bridges import Bridges
from anynet.estimators.descent import Fit
from anynet.estimators.ensemble import fit_ensemble, refuse_for_ensemble
from anynet.estimators.network import build_network, draw_weights, hidden_activations, load_params
from anynet.estimators.samples import check_inputs, check_samples
from anynet.nn.network import Network
from anynet.typing import Array, Params

Kind = TypeVar("Kind", bound=type)


class BaseMLP(Bridges):
    """Base class of ``MLPClassifier`` and ``MLPRegressor``, and the documentation they share.

    Parameters
    ----------
    hidden_layer_sizes : int or sequence of int
        The number of units of each hidden layer; an empty sequence makes a linear model.
    activation : str or sequence of str
        Applied after each hidden layer, one name for all or one each: ``identity``, ``logistic``,
        ``tanh``, ``relu``, or ``leaky_relu``, ``elu``, ``selu``, ``gelu``, ``silu``, ``mish``.
    solver : str or Optimizer
        ``adam``, ``sgd`` and ``lbfgs`` are scikit-learn's; ``rmsprop`` and ``adamw`` follow the
        conventions of torch, like any optimizer of ``anynet.optim``.
    alpha : float
        Strength of the L2 penalty ½ α ‖W‖² of the weights, which is divided by the number of
        samples of the batch, or by the sum of their weights.
    batch_size : int or "auto"
        Number of samples in an update; ``auto`` is min(200, n_samples). L-BFGS takes all at once.
    learning_rate : {"constant", "invscaling", "adaptive"} or Schedule
        The names are scikit-learn's and apply to ``sgd``; a schedule of ``anynet.optim`` applies
        to every stochastic solver and replaces ``learning_rate_init``.
    learning_rate_init, power_t : float
        The initial rate, and the exponent of ``invscaling``.
    max_iter : int
        Maximum number of epochs, or of iterations of L-BFGS.
    shuffle : bool
        Whether each epoch has its own random order.
    random_state : int, RandomState or None
        Draws the initial weights, the split and the orders, number for number as scikit-learn.
    tol, n_iter_no_change : float, int or inf
        Training has converged when the loss (or with ``early_stopping`` the score) has not
        improved by ``tol`` for more than ``n_iter_no_change`` epochs. L-BFGS stops at a gradient
        of ``tol``.
    verbose : bool or int
        Whether to print each epoch.
    warm_start : bool
        Whether ``fit`` continues from the present weights.
    momentum, nesterovs_momentum : float, bool
        Momentum of ``sgd``, and whether it is Nesterov's.
    early_stopping : bool
        Whether to stop on the score of a validation set, and to keep the best weights.
    validation_fraction : float
        Share of the samples that is split off as the validation set, stratified where there are
        enough of each class, unless ``fit`` is given ``X_val`` and ``y_val``.
    beta_1, beta_2, epsilon : float
        Decay rates and ε of ``adam``.
    max_fun : int
        Maximum number of evaluations of the loss by L-BFGS.
    dropout : float
        Share of each hidden layer's outputs that is dropped while training.
    layer_norm : bool
        Whether each hidden layer is normalised before its activation.
    scoring : str, callable or None
        Score of the validation set: a name of ``sklearn.metrics.get_scorer_names()``, a scorer,
        ``"loss"``, or None for ``score``. Scorers receive NumPy arrays; NaN counts as no
        improvement.
    callbacks : sequence of callable or None
        Each takes an ``EpochRecord`` after every epoch, and may return True to stop.
    progress_bar : bool
        Whether to show the epochs with tqdm.
    n_ensemble : int
        Number of networks with different seeds, trained at once as one population; predictions
        are the mean of their probabilities or values.
    backend : {"auto", "numpy", "cupy", "torch", "jax"} or None
        Where to compute, see ``get_backend``; None is where ``X`` lives, NumPy for host data.
    device : str or None
        ``cpu``, ``cuda``, ``cuda:1``, …; on its own it selects a backend that supports it.

    Attributes
    ----------
    coefs_, intercepts_ : list of array
        The weights (n_in, n_out) and biases (n_out,) of each layer, where ``X`` lives. The
        estimator predicts with them, also after they have been replaced.
    norm_gains_, norm_biases_ : list of array
        The same for normalised layers, with ``layer_norm``.
    loss_, loss_curve_, best_loss_ : float, list of float, float or None
        The mean training loss with the penalty: of the last epoch, of each epoch, and the smallest
        (None with ``early_stopping``).
    validation_scores_, validation_loss_curve_ : list of float or None
        Of each epoch, if there is a validation set; its loss has no penalty.
    best_validation_score_ : float or None
        The best of ``validation_scores_``.
    n_iter_, t_ : int
        Number of epochs (or iterations) of the last fit, and of samples seen in all.
    n_layers_, n_outputs_, out_activation_ : int, int, str
        Number of layers with the inputs, number of outputs, and the output activation.
    n_features_in_, feature_names_in_ : int, ndarray of str
        Number and names of the columns of ``X``.
    estimators_ : list of estimator
        With ``n_ensemble`` above 1 the fitted networks, each with the attributes above, and a
        ``random_state`` that trains it alone. The ensemble itself then has ``classes_`` (of a
        classifier), those of the layers and columns, and the largest ``n_iter_``.
    """

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        tags.array_api_support = True
        return tags

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(
        self,
        X: Any,
        y: Any,
        sample_weight: Any = None,
        *,
        X_val: Any = None,
        y_val: Any = None,
        sample_weight_val: Any = None,
    ) -> Self:
        """Train on samples.

        Parameters
        ----------
        X : array, data frame or sparse matrix of shape (n_samples, n_features)
            Arrays of torch, JAX or CuPy are trained on where they are.
        y : array of shape (n_samples,) or (n_samples, n_outputs)
            Values; or classes, several labels as a 0/1 matrix, or several classifications at once.
        sample_weight : array of shape (n_samples,), optional
        X_val, y_val, sample_weight_val : optional
            A validation set, scored after each epoch; with ``early_stopping`` it replaces the
            share of ``X`` that would be split off.

        Returns
        -------
        MLPClassifier or MLPRegressor
            The estimator itself.
        """
        held = {"X_val": X_val, "y_val": y_val, "sample_weight_val": sample_weight_val}
        return self._fit(X, y, sample_weight, **held)

    def _fit(self, *given: Any, incremental: bool = False, **options: Any) -> Self:
        """Train on what ``check_samples`` takes."""
        if self.n_ensemble > 1:
            refuse_for_ensemble(self)
        samples = check_samples(self, *given, incremental=incremental, **options)
        if self.n_ensemble > 1:
            fit_ensemble(self, samples)
        else:
            self.__dict__.pop("estimators_", None)
            Fit(self, samples, incremental=incremental).train()
        return self

    def _hidden_sizes(self) -> list[int]:
        sizes = self.hidden_layer_sizes
        sizes = list(sizes) if hasattr(sizes, "__iter__") else [sizes]
        if np.any(np.array(sizes) <= 0):
            message = f"hidden_layer_sizes must be > 0, got {sizes}."
            raise ValueError(message)
        return sizes

    def _begins_anew(self, *, incremental: bool) -> bool:
        return not hasattr(self, "coefs_") or not (self.warm_start or incremental)

    def _initialize(self, widths: list[int], dtype: str, rng: np.random.RandomState) -> None:
        """Draw weights, and reset every attribute that training extends."""
        self.n_iter_ = 0
        self.t_ = 0
        self.n_layers_ = len(widths)
        activations = hidden_activations(self.activation, len(widths) - 2)
        last = self.activation if isinstance(self.activation, str) else activations[-1]
        coefs, intercepts = draw_weights(widths, (*activations, last), rng)
        self.coefs_ = [coef.astype(dtype) for coef in coefs]
        self.intercepts_ = [intercept.astype(dtype) for intercept in intercepts]
        if self.layer_norm:
            self.norm_gains_ = [np.ones(width, dtype=dtype) for width in widths[1:-1]]
            self.norm_biases_ = [np.zeros(width, dtype=dtype) for width in widths[1:-1]]
        self.__dict__.pop("_optimizer", None)
        if self.solver != "lbfgs":
            self._begin_record()

    def _standard_weights(self, params: Params, backend: Backend) -> Params:  # noqa: ARG002
        """Return the weights of the network for the target that it is trained on."""
        return params

    def _user_weights(self, params: Params, backend: Backend) -> Params:  # noqa: ARG002
        """Return the weights of the network for the target as the user has it."""
        return params

    def _begin_record(self) -> None:
        """Reset the attributes that record the epochs of a stochastic solver."""
        self.loss_curve_: list[float] = []
        self._no_improvement_count = 0
        self.best_loss_ = None if self.early_stopping else np.inf
        self.validation_scores_ = self.validation_loss_curve_ = None
        self.best_validation_score_ = -np.inf if self.early_stopping else None

    def _network(self) -> Network:
        """Return the network whose weights are ``coefs_``."""
        widths = (self.coefs_[0].shape[0], *(coef.shape[1] for coef in self.coefs_))
        activations = hidden_activations(self.activation, len(widths) - 2)
        return build_network(widths, activations, self.dropout, self.layer_norm)

    @property
    def _is_ensemble(self) -> bool:
        return hasattr(self, "estimators_")

    @property
    def _networks(self) -> list[Any]:
        """The estimators that hold weights: this one, or those of an ensemble."""
        return self.estimators_ if self._is_ensemble else [self]

    def _check_solver(self) -> bool:
        if self.solver == "lbfgs":
            message = (
                "partial_fit is only available for stochastic optimizers. "
                f"{self.solver} is not stochastic."
            )
            raise AttributeError(message)
        if self.n_ensemble > 1:
            message = (
                f"partial_fit continues with one network, n_ensemble is {self.n_ensemble}: call it "
                "on each of several estimators, or set n_ensemble=1"
            )
            raise AttributeError(message)
        return True

    def _forward(
        self, X: Any, method: str, function: Callable[[Array, Backend], Array]
    ) -> tuple[Any, Backend | None]:
        """Return ``function`` of the logits of some samples, and where X lives."""
        check_is_fitted(self)
        home = home_of(X)
        first = self._networks[0]
        self._check_same_home(home, home_of(first.coefs_[0]), method)
        X = check_inputs(self, X, home)
        dtypes = {dtype_of(first.coefs_[0], home), float_name(X)}
        dtype = "float64" if "float64" in dtypes else "float32"
        backend = choose_backend(home, dtype, self.backend, self.device)
        network = first._network()
        loaded = [load_params(one, network, backend) for one in self._networks]
        params = loaded[0]
        if self._is_ensemble:
            params = tree.map(lambda *leaves: backend.xp.stack(leaves), *loaded)
        result = infer(network, params, X, backend, lambda logits: function(logits, backend))
        floating = result.dtype == backend.float_dtype
        return deliver(result, backend, home, dtype if floating else None), home

    def _check_same_home(self, home: Backend | None, fitted: Backend | None, method: str) -> None:
        """Refuse arrays of another library or device than those of ``fit``.

        Raises
        ------
        ValueError
            If they differ; the message is scikit-learn's.
        """
        if home == fitted:
            return
        before, now = _place_name(fitted), _place_name(home)
        message = (
            f"Inputs passed to {type(self).__name__}.{method}() must use the same namespace and "
            f"the same device as those passed to fit(). Array namespaces used during fit "
            f"({before}) and {method} ({now}) differ. Move them there, or fit again."
        )
        raise ValueError(message)


def _place_name(home: Backend | None) -> str:
    return "numpy" if home is None else f"{home.name} on {home.device_name()}"


def documented(estimator: Kind) -> Kind:
    """Insert the documentation of ``BaseMLP`` into that of an estimator.

    Parameters
    ----------
    estimator : type
        Its docstring has ``{parameters}`` and ``{attributes}``.

    Returns
    -------
    type
        The same class.
    """
    if estimator.__doc__ and BaseMLP.__doc__:  # python -OO strips them
        _, parameters, attributes = inspect.cleandoc(BaseMLP.__doc__).split("----------\n")
        parameters = parameters.partition("\n\n")[0]
        own = inspect.cleandoc(estimator.__doc__).replace("{parameters}", parameters)
        estimator.__doc__ = own.replace("{attributes}", attributes)
    return estimator

"""``MLPRegressor``."""

from __future__ import annotations

import warnings
from typing import Any, ClassVar

import numpy as np
from sklearn.base import RegressorMixin, _fit_context
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import r2_score
from sklearn.utils.metaestimators import available_if

from anynet.backends import Backend
from anynet.data.batches import Rows
from anynet.estimators.arrays import to_host
from anynet.estimators.base import BaseMLP, documented
from anynet.estimators.parameters import CONSTRAINTS, VALUE_LOSS, VALUE_LOSS_NAME
from anynet.estimators.samples import check_weights
from anynet.estimators.targets import SummedOverOutputs
from anynet.nn.losses import LOSSES
from anynet.typing import Array, Params

#: Standard deviations of the target outside of which the default rate does not suit it.
SPREAD = (0.1, 10.0)


@documented
class MLPRegressor(RegressorMixin, BaseMLP):
    """Multi-layer perceptron regressor with scikit-learn's interface, on arrays of any library.

    With scikit-learn's parameters, a fit equals that of scikit-learn to rounding.

    Parameters
    ----------
    loss : str or Loss
        ``squared_error`` (half of it) and ``poisson`` (half the deviance, with an exponential
        output) are scikit-learn's; ``absolute_error`` and ``huber``, or a loss of ``anynet.nn``.
    standardize_target : bool
        Whether the network is trained on the target with mean 0 and standard deviation 1; losses
        are in these units. Predictions, ``score`` and ``coefs_`` are for the target as it is. Set
        it if the standard deviation is far from 1: the default rate and number of epochs suit 1.
    {parameters}

    Attributes
    ----------
    target_mean_, target_scale_ : ndarray of shape (n_outputs,)
        With ``standardize_target``, the mean and the standard deviation of the target of ``fit``
        (1 for a constant one), weighted by the samples' weights. ``warm_start`` and
        ``partial_fit`` keep those of the first call.
    {attributes}

    Examples
    --------
    >>> from anynet import MLPRegressor
    >>> from sklearn.datasets import load_diabetes
    >>> from sklearn.preprocessing import scale
    >>> X, y = load_diabetes(return_X_y=True)
    >>> X = scale(X)
    >>> options = {"early_stopping": True, "learning_rate_init": 0.01, "random_state": 0}
    >>> model = MLPRegressor("huber", standardize_target=True, **options)
    >>> model.fit(X[:300], y[:300]).score(X[300:], y[300:]) > 0.3
    True
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **CONSTRAINTS,
        "loss": [VALUE_LOSS_NAME, VALUE_LOSS],
        "standardize_target": ["boolean"],
    }
    _numeric = True

    def __init__(
        self,
        loss: Any = "squared_error",
        hidden_layer_sizes: Any = (100,),
        activation: Any = "relu",
        *,
        solver: Any = "adam",
        alpha: float = 0.0001,
        batch_size: Any = "auto",
        learning_rate: Any = "constant",
        learning_rate_init: float = 0.001,
        power_t: float = 0.5,
        max_iter: int = 200,
        shuffle: bool = True,
        random_state: Any = None,
        tol: float = 1e-4,
        verbose: Any = False,
        warm_start: bool = False,
        momentum: float = 0.9,
        nesterovs_momentum: bool = True,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
        n_iter_no_change: float = 10,
        max_fun: int = 15000,
        dropout: float = 0.0,
        layer_norm: bool = False,
        scoring: Any = None,
        callbacks: Any = None,
        progress_bar: bool = False,
        n_ensemble: int = 1,
        backend: str | None = None,
        device: str | None = None,
        standardize_target: bool = False,
    ) -> None:
        given = locals()
        for name in MLPRegressor._get_param_names():
            setattr(self, name, given[name])

    @available_if(lambda estimator: estimator._check_solver())
    @_fit_context(prefer_skip_nested_validation=True)
    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None) -> MLPRegressor:
        """Train for one epoch on the given samples.

        Parameters
        ----------
        X, y, sample_weight
            As in ``fit``.

        Returns
        -------
        MLPRegressor
            The estimator itself.
        """
        return self._fit(X, y, sample_weight, incremental=True)

    def predict(self, X: Any) -> Any:
        """Predict values.

        Returns
        -------
        array of shape (n_samples,) or (n_samples, n_outputs)
            Where X lives.
        """

        def function(logits: Array, backend: Backend) -> Array:
            values = self._model_loss().link(logits, backend.xp)
            return backend.xp.mean(values, axis=0) if self._is_ensemble else values  # type: ignore[no-any-return]

        values, _ = self._forward(X, "predict", function)
        return values[:, 0] if values.shape[1] == 1 else values

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """Return R², averaged over the outputs.

        Parameters
        ----------
        X, y, sample_weight
            As in ``fit``.
        """
        predicted = to_host(self.predict(X))
        return float(r2_score(to_host(y), predicted, sample_weight=to_host(sample_weight)))

    def _model_loss(self) -> Any:
        return LOSSES[self.loss]() if isinstance(self.loss, str) else self.loss

    def _loss(self) -> Any:
        loss, n_outputs = self._model_loss(), self.n_outputs_
        if n_outputs == 1:
            return loss
        return SummedOverOutputs(loss, n_outputs, value_is_mean=loss.kind == "squared_error")

    def _read_target(self, y: Any, *, incremental: bool) -> None:
        self.n_outputs_ = 1 if y.ndim == 1 else y.shape[1]
        loss = self._model_loss()
        self.out_activation_ = getattr(loss, "link_name", "identity")
        least = getattr(loss, "least_target", -np.inf)
        if getattr(y.dtype, "kind", "f") not in "biuf":
            message = f"y must hold numbers, got dtype {y.dtype}"
            raise ValueError(message)
        if np.any(y < least):
            message = f"the loss {loss.kind} needs y >= {least:g}: some values of y are smaller"
            raise ValueError(message)
        if self.standardize_target and self.out_activation_ != "identity":
            message = (
                f"standardize_target needs a loss whose outputs are the values, and those of "
                f"{loss.kind} are their logarithm: set standardize_target=False"
            )
            raise ValueError(message)
        standardized = self.standardize_target or self.out_activation_ != "identity"
        if not (incremental or standardized or self.solver == "lbfgs"):
            _warn_of_spread(y)

    def _place_classes(self, home: Any) -> None:
        """Do nothing: values have no classes."""

    def _rows(self, X: Any, y: Any, sample_weight: Any, dtype: str, *, incremental: bool) -> Rows:  # noqa: ARG002
        weight = check_weights(sample_weight, y, dtype)
        if not self.standardize_target:
            return Rows(X, np.asarray(y, dtype=dtype).reshape(len(y), -1), weight)
        target = np.asarray(y, dtype=np.float64).reshape(len(y), -1)
        if not hasattr(self, "target_mean_"):
            self.target_mean_ = np.average(target, axis=0, weights=weight)
            variance = np.average((target - self.target_mean_) ** 2, axis=0, weights=weight)
            self.target_scale_ = np.where(variance > 0, np.sqrt(variance), 1.0)
        return Rows(X, ((target - self.target_mean_) / self.target_scale_).astype(dtype), weight)

    def _standard_weights(self, params: Params, backend: Backend) -> Params:
        """Divide the outputs of the network by the scale of the target, after its mean."""
        if not self.standardize_target:
            return params
        mean, scale = self._target_units(backend)
        last = params[-1]
        weight, bias = last["weight"] / scale, (last["bias"] - mean) / scale
        return (*params[:-1], last | {"weight": weight, "bias": bias})

    def _user_weights(self, params: Params, backend: Backend) -> Params:
        """Multiply the outputs of the network by the scale of the target, and add its mean."""
        if not self.standardize_target:
            return params
        mean, scale = self._target_units(backend)
        last = params[-1]
        weight, bias = last["weight"] * scale, last["bias"] * scale + mean
        return (*params[:-1], last | {"weight": weight, "bias": bias})

    def _target_units(self, backend: Backend) -> tuple[Array, Array]:
        units = np.array([self.target_mean_, self.target_scale_], dtype=backend.dtype)
        return backend.to_device(units[0]), backend.to_device(units[1])

    def _n_logits(self, y: Any) -> int:  # noqa: ARG002  (one signature for both)
        return self.n_outputs_

    def _strata(self, target: np.ndarray) -> None:  # noqa: ARG002
        return None

    def _score_logits(
        self,
        logits: np.ndarray,
        target: np.ndarray,
        weight: np.ndarray | None,
    ) -> float:
        """Return R² of logits on the host."""
        with np.errstate(over="ignore"):
            predicted = self._model_loss().link(logits, np)
        if not np.isfinite(predicted).all():
            return float("nan")
        return float(r2_score(target, predicted, sample_weight=weight))


def _warn_of_spread(y: np.ndarray) -> None:
    """Warn if the standard deviation of a column of the target is far from 1."""
    for spread in np.std(np.asarray(y, dtype=np.float64), axis=0, keepdims=True).reshape(-1):
        if 0 < spread < SPREAD[0] or spread > SPREAD[1]:
            warnings.warn(
                f"the target has a standard deviation of {spread:.3g}, and the default rate and "
                f"number of epochs suit one of about 1: set standardize_target=True, or scale the "
                f"target",
                ConvergenceWarning,
                stacklevel=2,
            )
            return

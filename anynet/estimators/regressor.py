"""``MLPRegressor``."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from sklearn.base import RegressorMixin, _fit_context
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
from anynet.typing import Array


@documented
class MLPRegressor(RegressorMixin, BaseMLP):
    """Multi-layer perceptron regressor with scikit-learn's interface, on arrays of any library.

    With scikit-learn's parameters, a fit equals that of scikit-learn to rounding.

    Parameters
    ----------
    loss : str or Loss
        ``squared_error`` (half of it) and ``poisson`` (half the deviance, with an exponential
        output) are scikit-learn's; ``absolute_error`` and ``huber``, or a loss of ``anynet.nn``.
    {parameters}

    Attributes
    ----------
    {attributes}

    Examples
    --------
    >>> from anynet import MLPRegressor
    >>> from sklearn.datasets import load_diabetes
    >>> from sklearn.preprocessing import scale
    >>> X, y = load_diabetes(return_X_y=True)
    >>> X = scale(X)
    >>> model = MLPRegressor("huber", early_stopping=True, learning_rate_init=0.1, random_state=0)
    >>> model.fit(X[:300], y[:300]).score(X[300:], y[300:]) > 0.3
    True
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **CONSTRAINTS,
        "loss": [VALUE_LOSS_NAME, VALUE_LOSS],
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

    def _read_target(self, y: Any, *, incremental: bool) -> None:  # noqa: ARG002
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

    def _place_classes(self, home: Any) -> None:
        """Do nothing: values have no classes."""

    def _rows(self, X: Any, y: Any, sample_weight: Any, dtype: str, *, incremental: bool) -> Rows:  # noqa: ARG002
        target = np.asarray(y, dtype=dtype).reshape(len(y), -1)
        return Rows(X, target, check_weights(sample_weight, y, dtype))

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

"""What the classifier and the regressor share: ``fit``, and the forward pass."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from anynet import export, tree
from anynet.backends import Backend
from anynet.estimators import bridges
from anynet.estimators.arrays import choose_backend, deliver, dtype_of, float_name, home_of, infer
from anynet.estimators.descent import Fit
from anynet.estimators.ensemble import fit_ensemble, refuse_for_ensemble
from anynet.estimators.network import build_network, draw_weights, hidden_activations, load_params
from anynet.estimators.samples import check_inputs, check_samples
from anynet.nn.network import Network
from anynet.training.ensemble import Ensemble
from anynet.training.model import Model
from anynet.typing import Array


class BaseMLP(BaseEstimator):
    """Base of ``MLPClassifier`` and ``MLPRegressor``: use those."""

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        tags.array_api_support = True
        return tags

    def __getstate__(self) -> dict[str, Any]:
        return bridges.to_portable(super().__getstate__())

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(bridges.from_portable(state))

    def to_model(self) -> Model | Ensemble:
        """Return the fitted network as a ``Model`` of anynet, on NumPy; several as an ``Ensemble``.

        It predicts the places of classes in ``Model.metadata["classes"]``, 0, 1, …, and is scored
        on such; of two classes ``Model.predict_proba`` gives the second's (N, 1).
        """
        check_is_fitted(self)
        return bridges.to_model(self)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the fitted estimator as one safetensors file.

        ``anynet.load`` reads it too, or ``anynet.Ensemble.load`` where there are several networks.

        It holds weights, parameters and curves, but not the state of the optimizer:
        after ``load`` ``partial_fit`` starts with a fresh one, after a pickle it goes on.

        Raises
        ------
        InvalidArgumentError
            If a parameter is code, such as a callback, which a pickle holds.
        OSError
            If it cannot be written; a file that was there before is untouched.
        """
        bridges.to_file(self, path)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Any:
        """Read an estimator that ``save`` wrote; its weights are NumPy's, its optimizer is new.

        Raises
        ------
        ModelFileError
            If the file is absent, damaged, or holds something else.
        """
        return bridges.from_file(cls, path)

    def to_sklearn(self) -> Any:
        """Return scikit-learn's estimator, fitted, that predicts the same.

        Raises
        ------
        InvalidArgumentError
            If scikit-learn has no such network, or this is an ensemble.
        """
        check_is_fitted(self)
        return bridges.to_scikit_learn(self)

    @classmethod
    def from_sklearn(cls, estimator: Any) -> Any:
        """Return an estimator with the parameters and weights of scikit-learn's.

        Raises
        ------
        TypeError
            If it is not a fitted one of the same name.
        """
        return bridges.from_scikit_learn(cls, estimator)

    def to_torch(self) -> Any:
        """Return the network as a ``torch.nn.Sequential`` that gives out logits."""
        check_is_fitted(self)
        return export.to_torch(bridges.to_single_model(self, "a torch module"))

    def to_onnx(self, path: str | os.PathLike[str], **options: Any) -> None:
        """Write the network as an ONNX file; see ``anynet.export.to_onnx`` for options.

        Of a classifier it predicts what ``predict`` and ``predict_proba`` do: labels of
        ``classes_`` (int64, float64 or strings), and for two classes the probabilities of both.
        """
        check_is_fitted(self)
        model = bridges.to_single_model(self, "an ONNX file")
        export.to_onnx(model, path, **self._onnx_options() | options)

    def _fit(self, *given: Any, incremental: bool = False, **options: Any) -> Any:
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

    def _onnx_options(self) -> dict[str, Any]:
        """What a file must be told beyond the network; the classifier's classes."""
        return {}

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
        """Draw weights, and reset every attribute that training adds to."""
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

    def _begin_record(self) -> None:
        """Set the attributes that tell the run of a stochastic solver to their beginning."""
        self.loss_curve_: list[float] = []
        self._no_improvement_count = 0
        self.best_loss_ = None if self.early_stopping else np.inf
        self.validation_scores_ = self.validation_loss_curve_ = None
        self.best_validation_score_ = -np.inf if self.early_stopping else None

    def _network(self) -> Network:
        """The network whose weights ``coefs_`` are."""
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
                f"partial_fit goes on with one network, n_ensemble is {self.n_ensemble}: call it "
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
        """Refuse arrays of another library or device than those that ``fit`` saw.

        Raises
        ------
        ValueError
            In scikit-learn's words.
        """
        if home == fitted:
            return
        before, now = _place_name(fitted), _place_name(home)
        message = (
            f"Inputs passed to {type(self).__name__}.{method}() must use the same namespace and "
            f"the same device as those passed to fit(). Array namespaces used during fit "
            f"({before}) and {method} ({now}) differ. Bring them there, or fit anew."
        )
        raise ValueError(message)


def _place_name(home: Backend | None) -> str:
    return "numpy" if home is None else f"{home.name} on {home.device_name()}"

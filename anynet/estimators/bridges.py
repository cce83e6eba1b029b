"""From an estimator to a model, a file, a pickle or another library, and back."""

from __future__ import annotations

import os
from typing import Any, Self

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from anynet import export, tree
from anynet.backends import find_backend, get_backend
from anynet.errors import InvalidArgumentError, ModelFileError
from anynet.estimators.arrays import dtype_of, home_of, to_host
from anynet.estimators.network import WEIGHTS, load_params, store_params
from anynet.estimators.storing import decode, encode
from anynet.training.ensemble import Ensemble, load
from anynet.training.model import Model

CLASSES, CLASSES_THERE = "classes_", "_classes_home"  # in a pickle: whether these are on a device
WHERE = "_home"  # in a pickle: library, device and dtype of the fitted attributes
KEY, MEMBERS = "estimator", "members"  # in a model's metadata
OF_THE_NETWORK = ("hidden_layer_sizes", "activation", "loss")
TARGET_UNITS = ("target_mean_", "target_scale_")
FIGURES = (
    *("n_iter_", "t_", "loss_", "n_layers_", "n_outputs_", "out_activation_", "n_features_in_"),
    *("loss_curve_", "best_loss_", "validation_scores_", "validation_loss_curve_"),
    *("best_validation_score_", "_no_improvement_count"),
)


class Bridges(BaseEstimator):
    """The part of an estimator that converts it to other forms and back."""

    def __getstate__(self) -> dict[str, Any]:
        return _to_host(super().__getstate__())

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(_to_device(state))

    def to_model(self: Any) -> Model | Ensemble:
        """Return the fitted network as a ``Model`` of anynet, on NumPy; several as an ``Ensemble``.

        It predicts the indices of classes in ``Model.metadata["classes"]``, 0, 1, …, and is scored
        on such; for two classes ``Model.predict_proba`` returns that of the second, (N, 1).

        Returns
        -------
        Model or Ensemble
        """
        check_is_fitted(self)
        metadata: dict[str, Any] = {KEY: self._describe()}
        if hasattr(self, "classes_"):
            metadata["classes"] = self._describe_labels()["classes"]
        if not self._is_ensemble:
            return self._single_model(metadata)  # type: ignore[no-any-return]
        metadata[MEMBERS] = [one._describe() for one in self.estimators_]
        return Ensemble([one._single_model({}) for one in self.estimators_], metadata)

    def _single_model(self: Any, metadata: dict[str, Any]) -> Model:
        network, loss, first = self._network(), self._model_loss(), self.coefs_[0]
        backend = get_backend("numpy", dtype=dtype_of(first, home_of(first)))
        return Model(network, load_params(self, network, backend), loss, backend, None, metadata)

    def _model_for(self: Any, what: str) -> Model:
        """Return the network as a model, unless this is an ensemble, which ``what`` cannot hold."""
        check_is_fitted(self)
        if self._is_ensemble:
            message = (
                f"{what} holds one network, this is an ensemble of {len(self.estimators_)}: "
                "take those of estimators_ one by one, or save the ensemble by save(path)"
            )
            raise InvalidArgumentError(message)
        return self.to_model()  # type: ignore[no-any-return]

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the fitted estimator as one safetensors file, which ``anynet.load`` reads too.

        It holds weights, parameters and curves, but not the state of the optimizer: after ``load``
        ``partial_fit`` starts with a new one; after a pickle it continues.

        Raises
        ------
        InvalidArgumentError
            If a parameter is code, such as a callback, which a pickle holds.
        OSError
            If it cannot be written; an earlier file is then unchanged.
        """
        model = self.to_model()
        left_out = model.metadata[KEY]["left_out"]
        if left_out:
            name = left_out[0]
            message = (
                f"a file without code cannot hold {name}={getattr(self, name)!r}: pickle the "
                f"estimator instead, set_params({name}=...) to something that can be stored, or "
                f"save the network alone, by to_model().save(path)"
            )
            raise InvalidArgumentError(message)
        model.save(path)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Self:
        """Read an estimator that ``save`` wrote; its weights are NumPy's, its optimizer is new.

        Returns
        -------
        MLPClassifier or MLPRegressor

        Raises
        ------
        ModelFileError
            If the file is absent, damaged, or holds something else.
        """
        loaded = load(path, backend="numpy")
        models = loaded.models if isinstance(loaded, Ensemble) else (loaded,)
        about, members = loaded.metadata.get(KEY, {}), loaded.metadata.get(MEMBERS)
        if about.get("name") != cls.__name__:
            message = (
                f"{path} holds {about.get('name', 'a model that no estimator saved')}, not an "
                f"{cls.__name__}: anynet.load reads it"
            )
            raise ModelFileError(message)
        if about["left_out"]:
            message = (
                f"{path} holds the network alone, without the estimator's parameters "
                f"{', '.join(about['left_out'])}: anynet.load reads it"
            )
            raise ModelFileError(message)
        if members is None:
            return cls._rebuilt(about, models[0])
        if len(members) != len(models):
            message = (
                f"{path} describes {len(members)} networks and holds {len(models)}: anynet.load "
                f"reads it"
            )
            raise ModelFileError(message)
        estimator: Any = cls._rebuilt(about)
        estimator.estimators_ = [
            cls._rebuilt(one, model) for one, model in zip(members, models, strict=True)
        ]
        return estimator  # type: ignore[no-any-return]

    def to_sklearn(self: Any) -> Any:
        """Return scikit-learn's estimator, fitted, that predicts the same.

        Raises
        ------
        InvalidArgumentError
            If scikit-learn has no such network, or this is an ensemble.
        """
        import sklearn.neural_network

        model = self._model_for("an estimator of scikit-learn")
        theirs = getattr(sklearn.neural_network, type(self).__name__)()
        given = self.get_params()
        shared = {name: given[name] for name in theirs.get_params() if name not in OF_THE_NETWORK}
        if shared["solver"] not in ("adam", "sgd", "lbfgs"):
            del shared["solver"]
        if callable(shared["learning_rate"]):
            del shared["learning_rate"]
        if hasattr(self, "classes_") and not self._describe_labels()["several"]:
            shared["classes"] = list(self._class_labels().classes)
        made = export.to_sklearn(model, **shared)
        if hasattr(self, "feature_names_in_"):
            made.feature_names_in_ = self.feature_names_in_
        return made

    @classmethod
    def from_sklearn(cls, estimator: Any) -> Self:
        """Return an estimator with the parameters and weights of scikit-learn's.

        Raises
        ------
        TypeError
            If it is not a fitted one of the same name.
        """
        if type(estimator).__name__ != cls.__name__ or not hasattr(estimator, "coefs_"):
            message = f"expected a fitted {cls.__name__} of scikit-learn, got {estimator!r}"
            raise TypeError(message)
        ours: Any = cls(**estimator.get_params())
        for name in (*FIGURES, "feature_names_in_"):
            if hasattr(estimator, name):
                setattr(ours, name, getattr(estimator, name))
        ours.coefs_ = [np.array(coef) for coef in estimator.coefs_]
        ours.intercepts_ = [np.array(intercept) for intercept in estimator.intercepts_]
        if hasattr(estimator, "classes_"):
            several = estimator.out_activation_ == "logistic" and estimator.n_outputs_ > 1
            classes = estimator.classes_
            about = {"classes": classes.tolist(), "dtype": str(classes.dtype), "several": several}
            ours._restore_labels(about)
        return ours  # type: ignore[no-any-return]

    def to_torch(self) -> Any:
        """Return the network as a ``torch.nn.Sequential`` that returns logits."""
        return export.to_torch(self._model_for("a torch module"))

    def to_onnx(self, path: str | os.PathLike[str], **options: Any) -> None:
        """Write the network as an ONNX file; see ``anynet.export.to_onnx`` for options.

        That of a classifier predicts what ``predict`` and ``predict_proba`` do: labels of
        ``classes_`` (int64, float64 or strings), and for two classes the probabilities of both.
        """
        model = self._model_for("an ONNX file")
        export.to_onnx(model, path, **self._onnx_options() | options)

    def _onnx_options(self) -> dict[str, Any]:
        """Return what a file holds besides the network: the classes of a classifier."""
        return {}

    def _describe(self) -> dict[str, Any]:
        """Return everything but the weights, JSON-able."""
        parameters, left_out = {}, []
        for name, value in self.get_params().items():
            try:
                parameters[name] = encode(value)
            except InvalidArgumentError:
                left_out.append(name)
        known = vars(self)
        kept = [name for name in (*FIGURES, *TARGET_UNITS) if name in known]
        figures = {name: encode(to_host(known[name])) for name in kept}
        about: dict[str, Any] = {
            "name": type(self).__name__,
            "parameters": parameters,
            "left_out": left_out,
            "figures": figures,
        }
        if "feature_names_in_" in known:
            about["feature_names"] = known["feature_names_in_"].tolist()
        if "classes_" in known:
            about["labels"] = self._describe_labels()
        return about

    @classmethod
    def _rebuilt(cls, about: dict[str, Any], model: Model | None = None) -> Self:
        """Return the estimator of a description, with the weights of a model."""
        made: Any = cls(**{name: decode(one) for name, one in about["parameters"].items()})
        vars(made).update({name: decode(one) for name, one in about["figures"].items()})
        for name in TARGET_UNITS:
            if name in about["figures"]:
                setattr(made, name, np.asarray(getattr(made, name)))
        if "feature_names" in about:
            made.feature_names_in_ = np.asarray(about["feature_names"], dtype=object)
        if "labels" in about:
            made._restore_labels(about["labels"])
        if model is not None:
            store_params(made, model.network, model.params, model.backend)
        return made  # type: ignore[no-any-return]


def _to_host(state: dict[str, Any]) -> dict[str, Any]:
    """Return an estimator's state with all arrays on the host, and where they were."""
    portable = dict(state)
    home = home_of(state["coefs_"][0]) if state.get("coefs_") else home_of(state.get(CLASSES))
    if home is not None:
        portable[WHERE] = (home.name, home.device_name(), home.dtype)
    for name in (*WEIGHTS, "_optimizer"):
        if name in portable:
            portable[name] = tree.map(to_host, portable[name])
    if home_of(portable.get(CLASSES)) is not None:
        portable[CLASSES_THERE], portable[CLASSES] = True, to_host(portable[CLASSES])
    return portable


def _to_device(portable: dict[str, Any]) -> dict[str, Any]:
    """Return the state with the weights where they were, as far as this machine has it.

    Without the device they go to the library's CPU, without the library they stay NumPy's.
    """
    state = dict(portable)
    home = find_backend(*state.pop(WHERE)) if WHERE in state else None
    if home is not None:
        for name in WEIGHTS:
            if name in state:
                state[name] = tree.map(home.to_device, state[name])
    there = state.pop(CLASSES_THERE, False)
    if home is not None and there:
        state[CLASSES] = home.to_device(state[CLASSES])
    return state

"""From an estimator to a model, a file or another library, and back."""

from __future__ import annotations

import os
from typing import Any, TypeVar

import numpy as np

from anynet import export
from anynet.backends import get_backend
from anynet.errors import InvalidArgumentError, ModelFileError
from anynet.estimators.arrays import dtype_of, home_of, to_host
from anynet.estimators.storing import decode, encode
from anynet.estimators.weights import ATTRIBUTES, load_params
from anynet.training.model import Model, load

Estimator = TypeVar("Estimator")
KEY = "estimator"  # in a model's metadata
OF_THE_NETWORK = ("hidden_layer_sizes", "activation", "loss")
FIGURES = (
    *("n_iter_", "t_", "loss_", "n_layers_", "n_outputs_", "out_activation_", "n_features_in_"),
    *("loss_curve_", "best_loss_", "validation_scores_", "validation_loss_curve_"),
    *("best_validation_score_", "_no_improvement_count"),
)


def to_model(estimator: Any) -> Model:
    """Return the network and its weights as a ``Model``, whose notes can rebuild the estimator."""
    network, loss = estimator._network(), estimator._model_loss()
    home = home_of(estimator.coefs_[0])
    dtype = dtype_of(estimator.coefs_[0], home)
    backend = get_backend("numpy", dtype=dtype)
    params = load_params(estimator, network, backend)
    metadata: dict[str, Any] = {KEY: _describe(estimator)}
    if hasattr(estimator, "classes_"):
        metadata["classes"] = estimator._describe_labels()["classes"]
    return Model(network, params, loss, backend, None, metadata)


def to_file(estimator: Any, path: str | os.PathLike[str]) -> None:
    """Write a file that ``from_file`` reads.

    Raises
    ------
    InvalidArgumentError
        If a parameter is more than such a file can hold.
    """
    model = to_model(estimator)
    left_out = model.metadata[KEY]["left_out"]
    if left_out:
        name = left_out[0]
        message = (
            f"a file without code cannot hold {name}={getattr(estimator, name)!r}: pickle the "
            f"estimator instead, set_params({name}=...) to something that can be stored, or save "
            f"the network alone, by to_model().save(path)"
        )
        raise InvalidArgumentError(message)
    model.save(path)


def from_file(kind: type[Estimator], path: str | os.PathLike[str]) -> Estimator:
    """Read what ``save`` wrote.

    Raises
    ------
    ModelFileError
        If the file is no model, or a model of something else than this estimator.
    """
    model = load(path, backend="numpy")
    about = model.metadata.get(KEY, {})
    if about.get("name") != kind.__name__:
        message = (
            f"{path} holds {about.get('name', 'a model that no estimator saved')}, not an "
            f"{kind.__name__}: anynet.load reads any model"
        )
        raise ModelFileError(message)
    if about["left_out"]:
        message = (
            f"{path} holds the network alone, without the estimator's parameters "
            f"{', '.join(about['left_out'])}: anynet.load reads it"
        )
        raise ModelFileError(message)
    estimator: Any = kind(**{name: decode(one) for name, one in about["parameters"].items()})
    vars(estimator).update({name: decode(one) for name, one in about["figures"].items()})
    for layer_kind, pairs in ATTRIBUTES.items():
        layers = [
            values
            for layer, values in zip(model.network.layers, model.params, strict=True)
            if layer.kind == layer_kind
        ]
        for name, attribute in pairs:
            if layers:
                setattr(estimator, attribute, [np.array(values[name]) for values in layers])
    if "feature_names" in about:
        estimator.feature_names_in_ = np.asarray(about["feature_names"], dtype=object)
    if "labels" in about:
        estimator._restore_labels(about["labels"])
    return estimator  # type: ignore[no-any-return]


def to_scikit_learn(estimator: Any) -> Any:
    """Return scikit-learn's estimator of the same name, fitted, that predicts the same."""
    import sklearn.neural_network

    theirs = getattr(sklearn.neural_network, type(estimator).__name__)()
    given = estimator.get_params()
    shared = {name: given[name] for name in theirs.get_params() if name not in OF_THE_NETWORK}
    if shared["solver"] not in ("adam", "sgd", "lbfgs"):
        del shared["solver"]
    if callable(shared["learning_rate"]):
        del shared["learning_rate"]
    model = to_model(estimator)
    told = hasattr(estimator, "classes_") and not estimator._describe_labels()["several"]
    classes = {"classes": list(estimator.classes_)} if told else {}
    made = export.to_sklearn(model, **classes, **shared)
    if hasattr(estimator, "feature_names_in_"):
        made.feature_names_in_ = estimator.feature_names_in_
    return made


def from_scikit_learn(kind: type[Estimator], theirs: Any) -> Estimator:
    """Return our estimator with the parameters and weights of scikit-learn's.

    Raises
    ------
    TypeError
        If it is another estimator, or is not fitted.
    """
    if type(theirs).__name__ != kind.__name__ or not hasattr(theirs, "coefs_"):
        message = f"expected a fitted {kind.__name__} of scikit-learn, got {theirs!r}"
        raise TypeError(message)
    estimator: Any = kind(**theirs.get_params())
    for name in (*FIGURES, "feature_names_in_"):
        if hasattr(theirs, name):
            setattr(estimator, name, getattr(theirs, name))
    estimator.coefs_ = [np.array(coef) for coef in theirs.coefs_]
    estimator.intercepts_ = [np.array(intercept) for intercept in theirs.intercepts_]
    if hasattr(theirs, "classes_"):
        several = theirs.out_activation_ == "logistic" and theirs.n_outputs_ > 1
        estimator._restore_labels({"classes": theirs.classes_.tolist(), "several": several})
    return estimator  # type: ignore[no-any-return]


def _describe(estimator: Any) -> dict[str, Any]:
    parameters, left_out = {}, []
    for name, value in estimator.get_params().items():
        try:
            parameters[name] = encode(value)
        except InvalidArgumentError:
            left_out.append(name)
    figures = {
        name: encode(to_host(getattr(estimator, name)))
        for name in FIGURES
        if hasattr(estimator, name)
    }
    about: dict[str, Any] = {
        "name": type(estimator).__name__,
        "parameters": parameters,
        "left_out": left_out,
        "figures": figures,
    }
    if hasattr(estimator, "feature_names_in_"):
        about["feature_names"] = estimator.feature_names_in_.tolist()
    if hasattr(estimator, "classes_"):
        about["labels"] = estimator._describe_labels()
    return about

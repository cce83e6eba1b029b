"""From an estimator to a model, a file, a pickle or another library, and back."""

from __future__ import annotations

import os
from typing import Any, TypeVar

import numpy as np

from anynet import export, tree
from anynet.backends import find_backend, get_backend
from anynet.errors import InvalidArgumentError, ModelFileError
from anynet.estimators.arrays import dtype_of, home_of, to_host
from anynet.estimators.network import ATTRIBUTES, WEIGHTS, load_params
from anynet.estimators.storing import decode, encode
from anynet.training.ensemble import Ensemble, load
from anynet.training.model import Model

Estimator = TypeVar("Estimator")
CLASSES, CLASSES_THERE = "classes_", "_classes_home"  # in a pickle: whether these are on a device
WHERE = "_home"  # in a pickle: library, device and dtype of the fitted attributes
KEY, MEMBERS = "estimator", "members"  # in a model's metadata
OF_THE_NETWORK = ("hidden_layer_sizes", "activation", "loss")
FIGURES = (
    *("n_iter_", "t_", "loss_", "n_layers_", "n_outputs_", "out_activation_", "n_features_in_"),
    *("loss_curve_", "best_loss_", "validation_scores_", "validation_loss_curve_"),
    *("best_validation_score_", "_no_improvement_count"),
)


def to_model(estimator: Any) -> Model | Ensemble:
    """Return the network, or networks, as a model whose notes can rebuild the estimator."""
    metadata: dict[str, Any] = {KEY: _describe(estimator)}
    if hasattr(estimator, "classes_"):
        metadata["classes"] = estimator._describe_labels()["classes"]
    if not estimator._is_ensemble:
        return _to_model(estimator, metadata)
    metadata[MEMBERS] = [_describe(one) for one in estimator.estimators_]
    return Ensemble([_to_model(one, {}) for one in estimator.estimators_], metadata)


def _to_model(estimator: Any, metadata: dict[str, Any]) -> Model:
    network, loss = estimator._network(), estimator._model_loss()
    home = home_of(estimator.coefs_[0])
    backend = get_backend("numpy", dtype=dtype_of(estimator.coefs_[0], home))
    params = load_params(estimator, network, backend)
    return Model(network, params, loss, backend, None, metadata)


def to_single_model(estimator: Any, what: str) -> Model:
    """Return the network as a model.

    Raises
    ------
    InvalidArgumentError
        If the estimator is an ensemble, which ``what`` cannot hold.
    """
    if estimator._is_ensemble:
        message = (
            f"{what} holds one network, this is an ensemble of {len(estimator.estimators_)}: "
            "take those of estimators_ one by one, or save the ensemble by save(path)"
        )
        raise InvalidArgumentError(message)
    model = to_model(estimator)
    assert isinstance(model, Model)
    return model


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
    models, metadata = _read(path)
    about = metadata.get(KEY, {})
    if about.get("name") != kind.__name__:
        message = (
            f"{path} holds {about.get('name', 'a model that no estimator saved')}, not an "
            f"{kind.__name__}: anynet.load reads any model, anynet.Ensemble.load any ensemble"
        )
        raise ModelFileError(message)
    if about["left_out"]:
        message = (
            f"{path} holds the network alone, without the estimator's parameters "
            f"{', '.join(about['left_out'])}: anynet.load reads it"
        )
        raise ModelFileError(message)
    estimator = _rebuild(kind, about)
    if MEMBERS not in metadata:
        _set_weights(estimator, models[0])
        return estimator  # type: ignore[no-any-return]
    if len(metadata[MEMBERS]) != len(models):
        message = (
            f"{path} describes {len(metadata[MEMBERS])} networks and holds {len(models)}: "
            "anynet.Ensemble.load reads it"
        )
        raise ModelFileError(message)
    estimator.estimators_ = [_rebuild(kind, one) for one in metadata[MEMBERS]]
    for network, model in zip(estimator.estimators_, models, strict=True):
        _set_weights(network, model)
    return estimator  # type: ignore[no-any-return]


def _read(path: str | os.PathLike[str]) -> tuple[tuple[Model, ...], dict[str, Any]]:
    """Read a model or an ensemble, as one or several models and what is noted of all."""
    loaded = load(path, backend="numpy")
    models = loaded.models if isinstance(loaded, Ensemble) else (loaded,)
    return models, loaded.metadata


def _rebuild(kind: type[Estimator], about: dict[str, Any]) -> Any:
    """Return the estimator of a description, without weights."""
    estimator: Any = kind(**{name: decode(one) for name, one in about["parameters"].items()})
    vars(estimator).update({name: decode(one) for name, one in about["figures"].items()})
    if "feature_names" in about:
        estimator.feature_names_in_ = np.asarray(about["feature_names"], dtype=object)
    if "labels" in about:
        estimator._restore_labels(about["labels"])
    return estimator


def _set_weights(estimator: Any, model: Model) -> None:
    for layer_kind, pairs in ATTRIBUTES.items():
        layers = [
            values
            for layer, values in zip(model.network.layers, model.params, strict=True)
            if layer.kind == layer_kind
        ]
        for name, attribute in pairs:
            if layers:
                setattr(estimator, attribute, [np.array(values[name]) for values in layers])


def to_scikit_learn(estimator: Any) -> Any:
    """Return scikit-learn's estimator of the same name, fitted, that predicts the same."""
    import sklearn.neural_network

    model = to_single_model(estimator, "an estimator of scikit-learn")
    theirs = getattr(sklearn.neural_network, type(estimator).__name__)()
    given = estimator.get_params()
    shared = {name: given[name] for name in theirs.get_params() if name not in OF_THE_NETWORK}
    if shared["solver"] not in ("adam", "sgd", "lbfgs"):
        del shared["solver"]
    if callable(shared["learning_rate"]):
        del shared["learning_rate"]
    told = hasattr(estimator, "classes_") and not estimator._describe_labels()["several"]
    classes = {"classes": list(estimator._class_labels().classes)} if told else {}
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
        classes = theirs.classes_
        about = {"classes": classes.tolist(), "dtype": str(classes.dtype), "several": several}
        estimator._restore_labels(about)
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


def to_portable(state: dict[str, Any]) -> dict[str, Any]:
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


def from_portable(portable: dict[str, Any]) -> dict[str, Any]:
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

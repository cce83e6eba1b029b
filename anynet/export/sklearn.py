"""scikit-learn: a model as a fitted MLPClassifier or MLPRegressor, and back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NoReturn

import numpy as np

from anynet import nn
from anynet.backends import Backend
from anynet.errors import InvalidArgumentError
from anynet.export.common import AFFINE, check_model, fold_affine, host_pieces, link_name, require
from anynet.nn.layers import AnyLayer
from anynet.nn.layers.initializers import initializer_for
from anynet.nn.network import place
from anynet.training.inputs import choose_backend
from anynet.training.model import Model

THEIR_NAMES = {"identity": "identity", "sigmoid": "logistic", "tanh": "tanh", "relu": "relu"}
THEIR_LINKS = {"classes": ("softmax",), "labels": ("logistic",), "values": ("identity", "exp")}
OUR_NAMES = {theirs: ours for ours, theirs in THEIR_NAMES.items()}


def to_sklearn(model: Model, *, classes: Sequence[Any] | None = None, **params: Any) -> Any:
    """Convert a model to a fitted estimator of scikit-learn with the same predictions.

    Scale, FeatureScale, Standardize and BatchNorm layers become part of the weights of a dense
    layer next to them, which is exact at inference, dropout is omitted, and softmax over two
    classes becomes the logistic function of their difference. The estimator pickles, clones,
    scores, and continues training from these weights by ``partial_fit``, with a new optimizer.

    Parameters
    ----------
    model : Model
        Dense layers with one activation (identity, sigmoid, tanh or relu) after each hidden one.
    classes : sequence, optional
        The labels that a classifier predicts, in ascending order, as scikit-learn keeps them; by
        default the numbers that ``Model.predict`` returns.
    **params
        Other parameters of the estimator, for further training. ``alpha`` is 0 by default, because
        losses of anynet have no penalty. The absolute and the Huber loss, which scikit-learn does
        not have, become the squared error: they predict alike and train differently.

    Returns
    -------
    sklearn.neural_network.MLPClassifier or MLPRegressor

    Raises
    ------
    InvalidArgumentError
        If scikit-learn has no such network; the message names the layer.
    BackendError
        If scikit-learn is missing.

    Examples
    --------
    >>> import anynet
    >>> data = anynet.load_dataset("digits")
    >>> network = anynet.mlp([64, 32, 10], scale=data.scale)
    >>> model = anynet.fit(network, data.train, epochs=3, backend="numpy")
    >>> estimator = anynet.export.to_sklearn(model)
    >>> bool((estimator.predict(data.test[0]) == model.predict(data.test[0])).all())
    True
    """
    check_model(model)
    coefs, intercepts, activation = _dense_layers(model)
    name = link_name(model.loss, "scikit-learn")
    if name not in THEIR_LINKS[model.loss.task]:
        message = f"scikit-learn's MLP has no {name} link for {model.loss.task}: train another loss"
        raise InvalidArgumentError(message)
    x = np.zeros((max(2, model.network.n_outputs), model.network.n_inputs), model.backend.dtype)
    y, first_call = _targets(model, classes, len(x))
    if model.loss.task == "classes" and model.network.n_outputs == 2:
        coefs[-1] = coefs[-1][:, 1:] - coefs[-1][:, :1]
        intercepts[-1] = intercepts[-1][1:] - intercepts[-1][:1]
    options: dict[str, Any] = {
        "hidden_layer_sizes": tuple(len(bias) for bias in intercepts[:-1]),
        "activation": activation,
    }
    neural_network = require("sklearn.neural_network")
    estimator = neural_network.MLPClassifier(**options)
    if model.loss.task == "values":
        estimator = neural_network.MLPRegressor(**options)
    if name == "exp":
        if "loss" not in estimator.get_params():
            message = "the Poisson loss needs scikit-learn 1.7: pip install 'scikit-learn>=1.7'"
            raise InvalidArgumentError(message)
        estimator.set_params(loss="poisson")
    # One step on rows of zeros creates every attribute that this version of scikit-learn has.
    estimator.partial_fit(x, y, **first_call)
    del estimator._optimizer
    estimator.coefs_, estimator.intercepts_ = coefs, intercepts
    losses = [] if model.history is None else [r.train_loss for r in model.history.records]
    estimator.loss_curve_, estimator.n_iter_, estimator.t_ = losses, len(losses), 0
    estimator.loss_ = losses[-1] if losses else np.nan
    estimator.best_loss_ = min(losses, default=np.inf)
    return estimator.set_params(**{"alpha": 0.0, **params})


def from_sklearn(
    estimator: Any, backend: Backend | str = "auto", device: str | None = None
) -> Model:
    """Convert a fitted MLPClassifier or MLPRegressor of scikit-learn to a model.

    ``Model.predict`` returns indices into ``estimator.classes_``, which are kept as
    ``Model.metadata["classes"]``; two classes become softmax over two outputs.

    Parameters
    ----------
    estimator : sklearn.neural_network.MLPClassifier or MLPRegressor
    backend : Backend or str
        Where to place the model, see ``get_backend``; the dtype is that of the estimator.
    device : str, optional

    Returns
    -------
    Model

    Raises
    ------
    InvalidArgumentError
        If it is another estimator, or is not fitted.
    BackendError
        If scikit-learn is missing.

    Examples
    --------
    >>> import anynet
    >>> from sklearn.neural_network import MLPRegressor
    >>> theirs = MLPRegressor(hidden_layer_sizes=(4,), max_iter=500, tol=0.1)
    >>> theirs = theirs.fit([[0.0], [1.0]], [0.0, 1.0])
    >>> anynet.export.from_sklearn(theirs, backend="numpy").n_parameters
    13
    """
    neural_network = require("sklearn.neural_network")
    known = (neural_network.MLPClassifier, neural_network.MLPRegressor)
    if not isinstance(estimator, known) or not hasattr(estimator, "coefs_"):
        message = (
            f"expected a fitted MLPClassifier or MLPRegressor of scikit-learn, got "
            f"{estimator!r}: fit it first, or take it out of its pipeline (pipeline[-1])"
        )
        raise InvalidArgumentError(message)
    coefs, intercepts = list(estimator.coefs_), list(estimator.intercepts_)
    loss: nn.Loss = nn.Poisson() if estimator.out_activation_ == "exp" else nn.SquaredError()
    metadata = {}
    if isinstance(estimator, known[0]):
        metadata["classes"] = np.asarray(estimator.classes_).tolist()
        several_labels = estimator.out_activation_ == "logistic" and estimator.n_outputs_ > 1
        loss = nn.BinaryCrossEntropy() if several_labels else nn.CrossEntropy()
        if estimator.n_outputs_ == 1:  # σ(z) is the second of softmax(0, z)
            coefs[-1] = np.hstack([np.zeros_like(coefs[-1]), coefs[-1]])
            intercepts[-1] = np.hstack([np.zeros_like(intercepts[-1]), intercepts[-1]])
    backend = choose_backend(backend, device, default_dtype=str(coefs[0].dtype))
    activation = OUR_NAMES[estimator.activation]
    layers: list[AnyLayer] = []
    params: list[dict[str, np.ndarray]] = []
    for weight, bias in zip(coefs, intercepts, strict=True):
        layers += [
            nn.Dense(weight.shape[1], initializer_for(activation)),
            nn.Activation(activation),
        ]
        params += [{"weight": weight, "bias": bias}, {}]
    network = nn.Network(coefs[0].shape[0], tuple(layers[:-1]))
    placed = place(tuple(params[:-1]), backend)
    return Model(network, placed, loss, backend, None, metadata)


def _dense_layers(model: Model) -> tuple[list[np.ndarray], list[np.ndarray], str]:
    """Return weights, biases and the activation between them by scikit-learn's name."""
    coefs: list[np.ndarray] = []
    intercepts: list[np.ndarray] = []
    after: list[str] = []  # the activation after each dense layer
    kinds = (*AFFINE, nn.BatchNorm)
    for index, layer, params, _ in fold_affine(host_pieces(model), kinds):
        if isinstance(layer, nn.Dense):
            coefs.append(params["weight"])
            intercepts.append(params["bias"])
            after.append("identity")
        elif isinstance(layer, nn.Dropout):
            continue
        elif not isinstance(layer, nn.Activation) or not after or after[-1] != "identity":
            _refuse(index, layer, "has dense layers, and one activation after each hidden one")
        elif layer.function not in THEIR_NAMES:
            _refuse(index, layer, f"has the activations {', '.join(THEIR_NAMES)}", layer.function)
        else:
            after[-1] = layer.function
    if not coefs or after[-1] != "identity":
        message = (
            "scikit-learn's MLP ends with a dense layer without an activation (its loss adds its "
            f"own), the network ends with {model.network.layers[-1:]}"
        )
        raise InvalidArgumentError(message)
    if len(set(after[:-1])) > 1:
        message = (
            f"scikit-learn's MLP has one activation for all hidden layers, the network has "
            f"{', '.join(after[:-1])}: train it with one"
        )
        raise InvalidArgumentError(message)
    return coefs, intercepts, THEIR_NAMES[after[0]] if len(after) > 1 else "relu"


def _targets(
    model: Model, classes: Sequence[Any] | None, n_rows: int
) -> tuple[np.ndarray, dict[str, Any]]:
    """Return targets that contain every class, and more arguments of the first ``partial_fit``."""
    task, n_outputs = model.loss.task, model.network.n_outputs
    if task == "values":
        y = np.ones((n_rows, n_outputs), model.backend.dtype)
        return y[:, 0] if n_outputs == 1 else y, {}
    n_classes = 2 if task == "labels" and n_outputs == 1 else n_outputs
    if n_classes == 1:
        message = "a network of one output and one class always predicts it: train with two classes"
        raise InvalidArgumentError(message)
    if task == "labels" and n_outputs > 1:
        if classes is not None:
            message = "multilabel output is 0/1: do not pass classes"
            raise InvalidArgumentError(message)
        return np.eye(n_rows, n_outputs, dtype=int), {"classes": np.arange(n_outputs)}
    names = np.arange(n_classes) if classes is None else np.asarray(classes)
    if names.shape != (n_classes,) or not np.array_equal(np.unique(names), names):
        message = f"classes must be {n_classes} different labels, ascending, got {classes!r}"
        raise InvalidArgumentError(message)
    given = [] if classes is None else np.asarray(classes, dtype=object).tolist()
    if any(one != label for one, label in zip(given, names.tolist(), strict=False)):
        message = (
            f"classes must be labels of one type, got {classes!r}, which NumPy would change to "
            f"{names.tolist()!r}"
        )
        raise InvalidArgumentError(message)
    return names, {"classes": names}


def _refuse(index: int, layer: AnyLayer, has: str, name: str | None = None) -> NoReturn:
    message = (
        f"layer {index} ({name or layer.kind}) cannot be expressed: scikit-learn's MLP {has}; "
        f"train a network of such layers, or export to ONNX, which has them all"
    )
    raise InvalidArgumentError(message)

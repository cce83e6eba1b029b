"""Trained networks: prediction, scores, saving."""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from dataclasses import dataclass, field, fields, replace
from typing import Any, cast

import numpy as np

from anynet import tree
from anynet.backends import Backend, backend_of, lives_on
from anynet.config import to_config
from anynet.data.batches import HostBatches, ResidentBatches
from anynet.data.display import Described
from anynet.data.sources.source import Source
from anynet.data.tables import Preprocessing, Table
from anynet.errors import InvalidArgumentError
from anynet.nn.layers import Activation, Dense
from anynet.nn.losses import Loss
from anynet.nn.network import Network, place
from anynet.training.evaluate import Evaluation, evaluate, slice_rows, target_spread
from anynet.training.history import History
from anynet.training.inputs import check_rows, check_x, with_targets
from anynet.training.model_file import SavedModel, write_model
from anynet.training.state import Weights
from anynet.training.step import EvaluationStep
from anynet.typing import Array, LayerStates, Params


@dataclass(frozen=True, repr=False)
class Model(Described):
    """A network with its parameters, on the backend that holds them.

    Attributes
    ----------
    network : Network
    params : Params
    loss : Loss
        The loss of training; it defines the task, and so ``predict`` and ``score``.
    backend : Backend
    history : History or None
        The training history; None for a loaded model.
    metadata : dict
        JSON-able notes, saved with the model.
    states : LayerStates
        Arrays of layers that are not trained, such as running statistics; ``()`` if none has any.

    Examples
    --------
    >>> import anynet
    >>> data = anynet.load_dataset("digits")
    >>> network = anynet.mlp([64, 32, 10], scale=data.scale)
    >>> model = anynet.fit(network, data.train, validation=0.1, epochs=3, backend="numpy")
    >>> model.predict(data.test[0][:3]).shape, model.predict_proba(data.test[0][:3]).shape
    ((3,), (3, 10))
    >>> model.n_parameters
    2410
    """

    network: Network
    params: Params
    loss: Loss
    backend: Backend
    history: History | None = None
    metadata: dict[str, Any] = field(default_factory=dict)
    states: LayerStates = ()

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle and deep-copy with NumPy arrays, which can be unpickled on any machine."""
        params, states = tree.map(self.backend.to_host, (self.params, self.states))
        rest = (self.network, params, self.loss, self.backend, self.history, self.metadata, states)
        return _unpickled, rest

    def __copy__(self) -> Model:
        return replace(self)

    @property
    def n_parameters(self) -> int:
        """The number of parameters."""
        return self.network.n_parameters

    def summary(self) -> str:
        """Return a table of the layers, with the shape of their outputs and their parameters.

        Returns
        -------
        str
            One line for each layer, and a line with the number of all parameters.
        """
        network, rows = self.network, layer_table(self.network)
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        lines = [
            "  ".join([f"{cell:{width}}" for cell, width in zip(row, widths, strict=True)]).rstrip()
            for row in rows
        ]
        return "\n".join([*lines, f"{self.n_parameters:,} parameters, {network.n_inputs} inputs"])

    def describe(self) -> tuple[str, dict[str, str]]:
        """Return what the model predicts, where it computes, and the best epoch of its history."""
        backend = self.backend
        facts = {
            "layers": ", ".join(layer.kind for layer in self.network.layers),
            "parameters": f"{self.n_parameters:,}",
            "loss": self.loss.kind,
            "backend": f"{backend.name} on {backend.device_name()}, {backend.dtype}",
        }
        return "Model", facts | ({} if self.history is None else self.history.describe()[1])

    def __repr__(self) -> str:
        layers, backend = self.network.layers, self.backend
        sizes = [self.network.n_inputs, *(la.units for la in layers if isinstance(la, Dense))]
        functions = dict.fromkeys(la.function for la in layers if isinstance(la, Activation))
        parts = [
            " ".join(["-".join(map(str, sizes)), *functions]),
            self.loss.kind,
            f"{backend.name} on {backend.device_name()}, {backend.dtype}",
        ]
        if self.history is not None and self.history.records:
            best, metric = self.history.best, self.history.metric
            which, score = "validation", best.validation_score
            if score is None:
                which, score = "training", best.train_score
            epochs = len(self.history.records)
            parts.append(f"epoch {best.epoch} of {epochs}: {which} {metric} {score:.4f}")
        return f"Model({'; '.join(parts)})"

    def predict(self, x: Any) -> Any:
        """Predict classes (N,), 0/1 labels (N, O), or values (N, O).

        Parameters
        ----------
        x : array of shape (N, I), Source or Table
            A NumPy array or anything that can be converted to one, or an array of torch, JAX or
            CuPy. A model that was trained on a table accepts raw rows, see ``read_table``.

        Returns
        -------
        array
            On the host for host arrays, otherwise on the device of ``x``. Values and labels of a
            network with one output have shape (N,). For a table: classes, or values in its units.
        """
        if isinstance(x, Table):
            preprocessing = Preprocessing.of(self)
            return preprocessing.decode(self.predict(preprocessing.transform(x)))
        xp = self.backend.xp

        def decide(logits: Array) -> Any:
            if self.loss.task == "classes":
                return xp.argmax(logits, axis=-1)
            if self.loss.task == "labels":
                return xp.astype(logits > 0, xp.int32)
            return self.loss.link(logits, xp)

        predicted = self._map(decide, x)
        return predicted[:, 0] if predicted.ndim == 2 and predicted.shape[1] == 1 else predicted

    def predict_proba(self, x: Any) -> Any:
        """Predict the probability of each class (N, O), or of each label being 1 (N, O).

        Raises
        ------
        InvalidArgumentError
            If the network predicts values.
        """
        if self.loss.task == "values":
            message = (
                f"a network trained on {self.loss.kind} predicts values: use predict, or train it "
                f"with loss='cross_entropy' or 'binary_cross_entropy' for probabilities"
            )
            raise InvalidArgumentError(message)
        return self.predict_mean(x)

    def predict_mean(self, x: Any) -> Any:
        """Predict the mean of the target (N, O): probabilities, or values."""
        if isinstance(x, Table):
            preprocessing = Preprocessing.of(self)
            mean = self.predict_mean(preprocessing.transform(x))
            return mean if self.loss.task == "classes" else preprocessing.decode(mean)
        return self._map(lambda logits: self.loss.link(logits, self.backend.xp), x)

    def score(self, x: Any, y: Any = None, sample_weight: Any = None) -> float:
        """Return the accuracy (for several labels: the share of rows without an error), or R².

        A ``Source`` with targets needs no ``y``.
        """
        return self.evaluate(x, y, sample_weight).score

    def evaluate(self, x: Any, y: Any = None, sample_weight: Any = None) -> Evaluation:
        """Return mean loss and score as ``Evaluation(loss, score)``; see ``score``."""
        if y is None:
            if not isinstance(x, Source):
                message = "y is missing: pass the targets, as in score(x, y)"
                raise InvalidArgumentError(message)
            x, y = with_targets(x)
        rows = check_rows((x, y, sample_weight), self.network, self.loss, self.backend)
        spread = target_spread(rows.y, rows.weight, self.loss)
        kind = HostBatches if isinstance(rows.x, Source) else ResidentBatches
        with self.backend.context():
            return evaluate(
                EvaluationStep(self.network, self.loss, self.backend),
                Weights(self.params, self.states),
                kind(rows, self.backend),
                np.arange(rows.n_samples, dtype=np.int32),
                spread,
            )

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write parameters and configuration as one safetensors file, completely or not at all.

        The file contains no code and loads on every backend.

        Raises
        ------
        OSError
            If the file cannot be written; an existing file is not changed.
        InvalidArgumentError
            If the folder does not exist, or JSON cannot represent the metadata.
        """
        write_model(path, self.saved(), self.metadata)

    def saved(self) -> SavedModel:
        """Return the content of the model's file: its parts, and its arrays on the host."""
        params, states = tree.map(self.backend.to_host, (self.params, self.states))
        return SavedModel(self.network, params, self.loss, states)

    def to(self, backend: Backend) -> Model:
        """Return the same model on another backend, its arrays cast to that dtype."""
        host = tree.map(self.backend.to_host, (self.params, self.states))
        params, states = place(host, backend)
        return replace(self, params=params, states=states, backend=backend)

    def _map(self, function: Callable[[Array], Any], x: Any) -> Any:
        """Apply ``function`` to the logits of slices of x, and join the results."""
        size, n_inputs = slice_rows(self.network, self.backend), self.network.n_inputs
        return map_rows(lambda some: function(self.logits(some)), x, n_inputs, self.backend, size)

    def logits(self, x: Array) -> Array:
        """Compute the logits (B, O) of samples (B, I) on the device of the model."""
        return self.network.predict(self.params, x, backend=self.backend, states=self.states)


def layer_table(network: Network, *, defaults: bool = True) -> list[tuple[str, str, str, str]]:
    """Return a heading, and for each layer its kind, options, output and number of parameters.

    Without `defaults`, options that have their default value are left out, unless all of a layer
    have theirs.
    """
    shapes = network.shapes()
    rows = [("layer", "", "output", "parameters")]
    for index, layer in enumerate(network.layers):
        options = {n: value for n, value in to_config(layer).items() if n != "kind"}
        if not defaults:
            usual = {one.name: one.default for one in fields(cast(Any, layer))}
            options = {n: v for n, v in options.items() if v != usual.get(n)} or options
        name = layer.kind + (" (frozen)" if index in network.frozen else "")
        count = sum(math.prod(shape) for shape in shapes[index].values())
        listed = ", ".join(f"{option}={value}" for option, value in options.items())
        rows.append((name, listed, f"(N, {network.widths[index + 1]})", f"{count:,}"))
    return rows


def map_rows(
    function: Callable[[Array], Array], x: Any, n_inputs: int, backend: Backend, size: int
) -> Any:
    """Apply a function to slices of x on the device, and concatenate the results.

    Parameters
    ----------
    function : callable
        Takes and returns one array of samples (B, …) on the device.
    x : array of shape (N, I), or Source
        Checked here, see ``check_x``.
    n_inputs : int
    backend : Backend
    size : int
        Number of samples in a slice, except the last.

    Returns
    -------
    array of shape (N, …)
        On the host for host arrays, else where ``x`` lives.
    """
    rows = check_x(x, n_inputs, backend)
    parts = []
    with backend.context():
        for start in range(0, max(1, rows.shape[0]), size):
            stop = min(start + size, rows.shape[0])
            from_disk = isinstance(rows, Source)
            some = rows.read(np.arange(start, stop)) if from_disk else rows[start:stop, ...]
            parts.append(function(backend.to_device(some)))
        if lives_on(x, backend):
            return backend.xp.concat(parts, axis=0)
        joined = np.concatenate([backend.to_host(part) for part in parts])
        home = backend_of(x, backend.dtype)
        return joined if home is None else home.to_device(joined)


def place_model(saved: SavedModel, backend: Backend, metadata: dict[str, Any]) -> Model:
    """Return the content of a file as a model on a backend."""
    params, states = place((saved.params, saved.states), backend)
    return Model(saved.network, params, saved.loss, backend, None, metadata, states)


def _unpickled(network: Network, params: Any, *rest: Any) -> Model:
    loss, backend, history, metadata, *states = rest  # models of earlier versions have no states
    # a copy: device arrays must not share memory with the parameters of another model
    placed = tree.map(lambda leaf: backend.to_device(np.array(leaf)), (params, *states))
    return Model(network, placed[0], loss, backend, history, metadata, *placed[1:])

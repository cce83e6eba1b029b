"""Several predictions that answer as one: of several models, or of several versions of a sample."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from anynet.backends import Backend, backend_of, to_numpy
from anynet.checks import check_whole
from anynet.data.tables import Preprocessing, Table
from anynet.errors import InvalidArgumentError, ModelFileError
from anynet.log import LOGGER
from anynet.seeds import device_seed
from anynet.training.evaluate import LOSS, target_spread
from anynet.training.inputs import check_rows, choose_backend, pipeline_for
from anynet.training.model import Model, map_rows, place_model
from anynet.training.model_file import read_models, write_ensemble
from anynet.training.options import Scorer
from anynet.training.selection import SIZE, select_greedily
from anynet.typing import Array, Key

AUGMENTED_ROWS = 1024  # samples that are augmented at once


class Ensemble:
    """Averages the probabilities, or the values, that its members predict.

    ``select`` chooses the members among candidates.

    Parameters
    ----------
    models : sequence of Model
        With the same task, inputs and outputs; their layers may differ.
    metadata : dict, optional
        JSON-able notes, saved with the ensemble.
    weights : sequence of float, optional
        The weight of each member in the average; equal by default. The attribute ``weights`` holds
        them divided by their sum, or None if they are equal.

    Raises
    ------
    InvalidArgumentError
        If there are no models, their tasks, inputs or outputs differ, or the weights are invalid.

    Examples
    --------
    >>> import anynet
    >>> digits = anynet.load_dataset("digits")
    >>> network = anynet.mlp([64, 32, 10], scale=digits.scale)
    >>> configs = [{"seed": seed} for seed in range(5)]
    >>> models = anynet.fit_population(network, digits.train, configs, backend="numpy")
    >>> ensemble = anynet.Ensemble(models)
    >>> ensemble.score(*digits.test) > 0.9
    True
    """

    def __init__(
        self,
        models: Sequence[Model],
        metadata: dict[str, Any] | None = None,
        weights: Sequence[float] | None = None,
    ) -> None:
        listed = list(models) if isinstance(models, Iterable) else [models]
        wrong = [one for one in listed if not isinstance(one, Model)]
        if wrong or not isinstance(models, Iterable):
            got = type((wrong or listed)[0]).__name__
            message = f"models must be a sequence of Model, such as [model, other], got {got}"
            raise InvalidArgumentError(message)
        self.models = tuple(models)
        self.metadata = metadata or {}
        if not self.models:
            message = "an ensemble needs at least one model"
            raise InvalidArgumentError(message)
        questions = [
            f"{model.loss.task} in {model.network.n_outputs} outputs from "
            f"{model.network.n_inputs} inputs"
            for model in self.models
        ]
        for member, question in enumerate(questions):
            if question != questions[0]:
                message = (
                    f"the models of an ensemble must answer one question: model 0 predicts "
                    f"{questions[0]}, model {member} {question}"
                )
                raise InvalidArgumentError(message)
        shares = None if weights is None else _shares(weights, len(self.models))
        self.weights = None if shares is None or len(set(shares)) == 1 else shares

    @classmethod
    def select(
        cls,
        models: Sequence[Model],
        data: Any,
        *,
        size: int = SIZE,
        replacement: bool = True,
        scoring: str | Scorer = LOSS,
        metadata: dict[str, Any] | None = None,
    ) -> Ensemble:
        """Select members greedily, by the score of the ensemble on validation samples.

        Parameters
        ----------
        models : sequence of Model
            The candidates, with the same task, inputs and outputs.
        data : (x, y) or (x, y, sample_weight)
            Validation samples that no candidate was trained on.
        size, replacement, scoring
            See ``anynet.training.select_greedily``.
        metadata : dict, optional
            JSON-able notes, saved with the ensemble.

        Returns
        -------
        Ensemble
            The chosen models with their weights.

        Raises
        ------
        InvalidArgumentError
            If an argument is not as documented.

        Examples
        --------
        >>> import anynet
        >>> digits = anynet.load_dataset("digits")
        >>> network = anynet.mlp([64, 32, 10], scale=digits.scale)
        >>> x, y = digits.train
        >>> configs = [{"learning_rate": rate} for rate in (0.01, 0.03, 0.1, 0.3)]
        >>> models = anynet.fit_population(
        ...     network, (x[:1000], y[:1000]), configs, epochs=5, backend="numpy"
        ... )
        >>> ensemble = anynet.Ensemble.select(models, (x[1000:], y[1000:]))
        >>> len(ensemble.models) <= 4
        True
        """
        candidates = cls(models).models
        x, y, *weight = data
        loss = candidates[0].loss
        found = select_greedily(
            [to_numpy(model.predict_mean(x)) for model in candidates],
            to_numpy(y),
            to_numpy(weight[0]) if weight and weight[0] is not None else None,
            size=size,
            replacement=replacement,
            scoring=scoring,
            loss=loss,
        )
        chosen = np.flatnonzero(found.weights).tolist()
        LOGGER.info("%d of %d networks are selected", len(chosen), len(candidates))
        return cls([candidates[one] for one in chosen], metadata, found.weights[chosen].tolist())

    def __repr__(self) -> str:
        """Return the number of models and the first model."""
        return f"Ensemble({len(self.models)} models, the first: {self.models[0]!r})"

    def predict(self, x: Any) -> Any:
        """Predict classes (N,), 0/1 labels (N, O), or values (N, O), as ``Model.predict`` does."""
        if isinstance(x, Table):
            preprocessing = Preprocessing.of(self)
            return preprocessing.decode(self.predict(preprocessing.transform(x)))
        mean = self.predict_mean(x)
        home = backend_of(mean)
        xp = np if home is None else home.xp
        task = self.models[0].loss.task
        if task == "classes":
            return xp.argmax(mean, axis=-1)
        answer = xp.astype(mean > 0.5, xp.int32) if task == "labels" else mean
        return answer[:, 0] if answer.shape[1] == 1 else answer

    def predict_proba(self, x: Any) -> Any:
        """Predict the mean of the members' probabilities (N, O).

        Raises
        ------
        InvalidArgumentError
            If the members predict values.
        """
        if self.models[0].loss.task == "values":
            return self.models[0].predict_proba(x)  # raises the error
        return self.predict_mean(x)

    def predict_mean(self, x: Any) -> Any:
        """Predict the mean of the target (N, O), averaged over the members, on the device of x.

        An ensemble that was trained on a table accepts raw rows, see ``read_table``; values are
        then in the units of the table.
        """
        if isinstance(x, Table):
            preprocessing = Preprocessing.of(self)
            mean = self.predict_mean(preprocessing.transform(x))
            return mean if self.models[0].loss.task == "classes" else preprocessing.decode(mean)
        return weighted_mean([model.predict_mean(x) for model in self.models], self.weights)

    def score(self, x: Any, y: Any, sample_weight: Any = None) -> float:
        """Return the accuracy (of whole rows for several labels), or R² for values."""
        first = self.models[0]
        rows = check_rows((x, y, sample_weight), first.network, first.loss, first.backend)
        mean = to_numpy(self.predict_mean(x)).astype(np.float64)
        if first.loss.task == "labels":
            mean = mean - 0.5  # the metric expects logits, with the threshold 0
        total = first.loss.metric.batch_sum(mean, rows.y, rows.weight, np)
        weight = float(rows.n_samples if rows.weight is None else np.sum(rows.weight))
        spread = target_spread(rows.y, rows.weight, first.loss)
        return first.loss.metric.finish(np.asarray(total), weight, spread)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write all members as one safetensors file, whole or not at all.

        Raises
        ------
        OSError
            If the file cannot be written; an existing file is not changed.
        """
        models = [model.saved() for model in self.models]
        write_ensemble(path, models, self.metadata, self.weights)

    @classmethod
    def load(
        cls,
        path: str | os.PathLike[str],
        backend: Backend | str = "auto",
        device: str | None = None,
        dtype: str | None = None,
    ) -> Ensemble:
        """Load a file that ``save`` wrote; see ``anynet.load`` for the parameters.

        Raises
        ------
        ModelFileError
            If the file is absent, damaged, or not an ensemble.
        """
        loaded = load(path, backend, device, dtype)
        if not isinstance(loaded, Ensemble):
            message = f"{path} is not an ensemble: anynet.load reads a single model"
            raise ModelFileError(message)
        return loaded


def _shares(weights: Any, n_members: int) -> tuple[float, ...]:
    """Return weights divided by their sum.

    Raises
    ------
    InvalidArgumentError
        If they are not one finite number of at least 0 for each member, or all are 0.
    """
    try:
        array = np.asarray(weights, dtype=np.float64)
    except (TypeError, ValueError, OverflowError):
        array = np.zeros(0)
    sound = array.shape == (n_members,) and bool(np.all(np.isfinite(array) & (array >= 0)))
    if not sound or not np.any(array > 0):
        message = (
            f"weights must be {n_members} numbers of at least 0, one for each model and not all 0, "
            f"got {weights!r}"
        )
        raise InvalidArgumentError(message)
    largest = float(np.max(array))  # a sum of huge numbers would overflow
    shares: list[float] = (array / largest / np.sum(array / largest)).tolist()
    return tuple(shares)


def weighted_mean(predictions: Sequence[Any], weights: Sequence[float] | None) -> Any:
    """Return the mean of arrays; with equal weights if there are none."""
    if weights is None:
        return sum(predictions[1:], start=predictions[0]) / len(predictions)
    first, *others = (w * p for w, p in zip(weights, predictions, strict=True))
    return sum(others, start=first)


def load(
    path: str | os.PathLike[str],
    backend: Backend | str = "auto",
    device: str | None = None,
    dtype: str | None = None,
) -> Model | Ensemble:
    """Load a file that ``Model.save`` or ``Ensemble.save`` wrote, on any backend.

    Parameters
    ----------
    path : path-like
        A ``.safetensors`` file, or a run folder of ``anynet train``, which holds one.
    backend : Backend or str
        Backend of the loaded model, see ``get_backend``.
    device : str, optional
    dtype : {"float32", "float64"}, optional
        By default the type of the saved parameters.

    Returns
    -------
    Model or Ensemble
        An ensemble if the file holds one.

    Raises
    ------
    ModelFileError
        If the file is absent, damaged, or not a model of anynet.

    Examples
    --------
    >>> import tempfile
    >>> import anynet
    >>> digits = anynet.load_dataset("digits")
    >>> network = anynet.mlp([64, 32, 10], scale=digits.scale)
    >>> model = anynet.fit(network, digits.train, epochs=3, backend="numpy")
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     model.save(f"{folder}/digits.safetensors")
    ...     loaded = anynet.load(f"{folder}/digits.safetensors", backend="numpy")
    >>> bool((loaded.predict(digits.test[0]) == model.predict(digits.test[0])).all())
    True
    """
    saved, metadata, is_ensemble, weights = read_models(path)
    placed_on = choose_backend(backend, device, dtype, default_dtype=saved[0].dtype)
    if not is_ensemble:
        return place_model(saved[0], placed_on, metadata)
    models = [place_model(one, placed_on, {}) for one in saved]
    try:
        return Ensemble(models, metadata, weights)
    except InvalidArgumentError as error:
        message = f"{path} is not a sound ensemble: {error}"
        raise ModelFileError(message) from error


def predict_augmented(
    model: Model | Ensemble,
    x: Any,
    augment: Any,
    *,
    times: int = 8,
    seed: int = 0,
    image_shape: tuple[int, int] | None = None,
) -> Any:
    """Return the mean prediction over each sample and augmented versions of it.

    Parameters
    ----------
    model : Model or Ensemble
    x : array of shape (N, I)
        As for ``Model.predict``.
    augment, image_shape
        As for ``fit``; weaker augmentations than in training are often better. Mixup and
        ``halved`` classes are refused, because they need labels.
    times : int
        Number of augmented versions of each sample, in addition to the sample itself.
    seed : int
        Seed of the augmented versions.

    Returns
    -------
    array of shape (N, O)
        Mean probabilities, whose argmax is the predicted class; or mean values.

    Raises
    ------
    InvalidArgumentError
        If an argument is not as documented.

    Examples
    --------
    >>> import anynet
    >>> digits = anynet.load_dataset("digits")
    >>> network = anynet.mlp([64, 32, 10], scale=digits.scale)
    >>> model = anynet.fit(network, digits.train, epochs=5, backend="numpy")
    >>> gentle = anynet.augment.Affine(rotation=5, scale=0.05, shift=0.3)
    >>> mean = anynet.predict_augmented(model, digits.test[0], gentle, times=4)
    >>> mean.shape
    (359, 10)
    """
    check_whole("times", times)
    models = model.models if isinstance(model, Ensemble) else (model,)
    weights = model.weights if isinstance(model, Ensemble) else None
    backend, network = models[0].backend, models[0].network
    models = tuple(one if one.backend == backend else one.to(backend) for one in models)

    def mean_of(samples: Array) -> Array:
        means = [one.loss.link(one.logits(samples), backend.xp) for one in models]
        mean: Array = weighted_mean(means, weights)
        return mean

    versions = pipeline_for(network, x, augment, image_shape, backend)
    if versions is None:
        message = f"augment must name at least one augmentation, got {augment!r}"
        raise InvalidArgumentError(message)
    if versions.mixup or any(getattr(one, "halved", ()) for one in versions.augmentations):
        message = "mixup and halved classes need labels, which a prediction has none of"
        raise InvalidArgumentError(message)
    word = backend.to_device(np.asarray(device_seed(seed), dtype=np.int32))
    steps = itertools.count()

    def mean_of_versions(some: Array) -> Array:
        total = mean_of(some)
        for step in itertools.islice(steps, times):
            key = Key(word, backend.to_device(np.asarray(step, dtype=np.int32)))
            total = total + mean_of(versions(some, None, backend=backend, key=key)[0])
        return total / (times + 1)

    # The random bits depend on the slices, which are therefore of one size on every backend.
    return map_rows(mean_of_versions, x, network.n_inputs, backend, AUGMENTED_ROWS)

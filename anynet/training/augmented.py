"""Test-time augmentation: the mean prediction over several versions of each sample."""

from __future__ import annotations

from typing import Any

import numpy as np

from anynet.augment import as_pipeline
from anynet.backends import backend_of, lives_on
from anynet.checks import check_whole
from anynet.errors import InvalidArgumentError
from anynet.seeds import device_seed
from anynet.training.ensemble import Ensemble
from anynet.training.inputs import check_x, full_ink, image_shape_of
from anynet.training.model import PREDICTION_BATCH, Model
from anynet.typing import Array, Key


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
    backend, network = models[0].backend, models[0].network
    models = tuple(one if one.backend == backend else one.to(backend) for one in models)

    def mean_of(samples: Array) -> Array:
        means = [one.loss.link(one.logits(samples), backend.xp) for one in models]
        return sum(means[1:], start=means[0]) / len(means)

    shape = image_shape or image_shape_of(x)
    versions = as_pipeline(augment, network.n_inputs, shape, backend, top=full_ink(network))
    if versions is None:
        message = f"augment must name at least one augmentation, got {augment!r}"
        raise InvalidArgumentError(message)
    if versions.mixup or any(getattr(one, "halved", ()) for one in versions.augmentations):
        message = "mixup and halved classes need labels, which a prediction has none of"
        raise InvalidArgumentError(message)
    rows = check_x(x, network.n_inputs, backend)
    word = backend.to_device(np.asarray(device_seed(seed), dtype=np.int32))
    parts = []
    with backend.context():
        for batch, start in enumerate(range(0, max(1, rows.shape[0]), PREDICTION_BATCH)):
            some = backend.to_device(rows[start : start + PREDICTION_BATCH, ...])
            total = mean_of(some)
            for version in range(times):
                step = backend.to_device(np.asarray(batch * times + version, dtype=np.int32))
                new, _ = versions(some, None, backend=backend, key=Key(word, step))
                total = total + mean_of(new)
            parts.append(total / (times + 1))
        mean = backend.xp.concat(parts, axis=0)
    if lives_on(x, backend):
        return mean
    home = backend_of(x, backend.dtype)
    host = backend.to_host(mean)
    return host if home is None else home.to_device(host)

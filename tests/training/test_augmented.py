"""Test-time augmentation: a mean over versions, for models and samples on any backend."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from augmentations import key

import anynet
from anynet.augment import Affine, Elastic, Mixup, as_pipeline
from anynet.backends import Backend
from anynet.seeds import device_seed

GENTLE = [Affine(rotation=5, shift=0.3), Elastic(3, 2)]


@pytest.fixture(scope="module")
def model(digits: anynet.Dataset) -> anynet.Model:
    network = anynet.mlp([64, 16, 10], scale=digits.scale)
    backend = anynet.get_backend("numpy", dtype="float64")
    return anynet.fit(network, digits.train, epochs=3, backend=backend)


def test_prediction_is_the_mean_over_the_sample_and_its_versions(model: Any, digits: Any) -> None:
    x, backend = digits.test[0][:50], model.backend
    pipeline = as_pipeline(GENTLE, 64, None, backend, top=1 / digits.scale)
    versions = [
        pipeline(x, None, backend=backend, key=key(backend, device_seed(7), version))[0]
        for version in range(3)
    ]
    expected = np.mean([model.predict_proba(each) for each in (x, *versions)], axis=0)
    got = anynet.predict_augmented(model, x, GENTLE, times=3, seed=7)
    np.testing.assert_allclose(got, expected, rtol=1e-9)
    assert not np.allclose(got, anynet.predict_augmented(model, x, GENTLE, times=3, seed=8))


def test_prediction_is_the_same_on_every_backend(
    model: Any, digits: Any, backend64: Backend
) -> None:
    x = digits.test[0][:40]
    expected = anynet.predict_augmented(model, x, GENTLE, times=2)
    moved = model.to(backend64)
    np.testing.assert_allclose(
        anynet.predict_augmented(moved, x, GENTLE, times=2), expected, rtol=1e-7
    )
    if backend64.name == "strict":  # a device whose arrays the model's functions do not accept
        return
    there = anynet.predict_augmented(moved, backend64.to_device(x), GENTLE, times=2)
    np.testing.assert_allclose(backend64.to_host(there), expected, rtol=1e-7)


def test_ensembles_and_many_rows_are_augmented(model: Any, digits: Any) -> None:
    x = np.concatenate([digits.train[0][:1000]] * 2)
    other = anynet.fit(model.network, digits.train, epochs=1, seed=1, backend=model.backend)
    ensemble = anynet.Ensemble([model, other])
    found = anynet.predict_augmented(ensemble, x, GENTLE, times=1)
    parts = [anynet.predict_augmented(one, x, GENTLE, times=1) for one in (model, other)]
    np.testing.assert_allclose(found, np.mean(parts, axis=0), rtol=1e-9)
    assert not np.allclose(found[:1000], found[1000:])  # each row has its own versions


@pytest.mark.parametrize(
    ("augment", "options", "message"),
    [
        (GENTLE, {"times": 0}, "times must be a whole number"),
        (GENTLE, {"times": 1.5}, "got 1.5"),
        ((), {}, "at least one augmentation"),
        ("mixup", {}, "mixup and halved classes need labels"),
        (Affine(halved=(1,)), {}, "halved classes need labels"),
        ("elastic", {"image_shape": (3, 5)}, "image_shape must be"),
        (Mixup(), {}, "need labels"),
    ],
)
def test_invalid_input_raises(
    model: Any, digits: Any, augment: Any, options: Any, message: str
) -> None:
    with pytest.raises(anynet.InvalidArgumentError, match=message):
        anynet.predict_augmented(model, digits.test[0][:3], augment, **options)

"""The shared options of ``fit`` and ``fit_population``: signature, checks, effect."""

from __future__ import annotations

import inspect
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import anynet
from anynet import tree
from anynet.optim import SGD, Adam
from anynet.training.options import FitArguments, FitOptions

X = np.random.default_rng(0).normal(size=(60, 5)).astype(np.float32)
Y = (X[:, 0] > 0).astype(np.int64) + (X[:, 1] > 0)
NETWORK = anynet.mlp([5, 8, 3])


def test_the_options_have_types_for_type_checkers() -> None:
    assert FitArguments.__annotations__.keys() == {field.name for field in fields(FitOptions)}
    for field in fields(FitOptions):
        assert FitArguments.__annotations__[field.name].__forward_arg__ == field.type


@pytest.mark.parametrize("function", [anynet.fit, anynet.fit_population])
def test_signature_and_docstring_contain_every_option(function: Any) -> None:
    parameters = inspect.signature(function).parameters
    for field in fields(FitOptions):
        assert parameters[field.name].default == field.default
        assert field.name in function.__doc__
    assert "**options" not in function.__doc__


@pytest.mark.parametrize("function", [anynet.fit, anynet.fit_population])
def test_an_unknown_option_raises_with_the_nearest_name(function: Any) -> None:
    with pytest.raises(TypeError, match=r"'batchsize'; did you mean 'batch_size'"):
        function(NETWORK, (X, Y), batchsize=3)


def weights(**options: Any) -> list[np.ndarray]:
    model = anynet.fit(NETWORK, (X, Y), epochs=2, backend="numpy", **options)
    return tree.leaves(model.params)


@pytest.mark.parametrize(
    ("options", "explicit"),
    [
        ({"momentum": 0.9}, {"optimizer": SGD(momentum=0.9)}),
        ({"weight_decay": 0.1, "optimizer": "adam"}, {"optimizer": Adam(weight_decay=0.1)}),
        ({"label_smoothing": 0.1}, {"loss": anynet.nn.CrossEntropy(0.1)}),
    ],
)
def test_fit_and_populations_override_numbers_of_their_parts(
    options: dict[str, Any], explicit: dict[str, Any]
) -> None:
    expected = weights(**explicit)
    for mine, theirs in zip(weights(**options), expected, strict=True):
        np.testing.assert_array_equal(mine, theirs)
    (member,) = anynet.fit_population(NETWORK, (X, Y), [options], epochs=2, backend="numpy")
    for mine, theirs in zip(tree.leaves(member.params), expected, strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=1e-5, atol=1e-6)


def test_fit_accepts_device_and_dtype_like_load() -> None:
    model = anynet.fit(NETWORK, (X, Y), epochs=1, backend="numpy", device="cpu", dtype="float64")
    assert model.backend.dtype == "float64"
    assert {leaf.dtype for leaf in tree.leaves(model.params)} == {np.dtype("float64")}
    with pytest.raises(anynet.InvalidArgumentError, match="device and dtype"):
        anynet.fit(NETWORK, (X, Y), backend=anynet.get_backend("numpy"), dtype="float64")


def test_start_initialises_from_the_weights_of_a_model() -> None:
    first = anynet.fit(NETWORK, (X, Y), epochs=3, backend="numpy")
    kept = [leaf.copy() for leaf in tree.leaves(first.params)]
    second = anynet.fit(NETWORK, (X, Y), epochs=1, backend="numpy", start=first)
    assert second.history.records[0].train_loss < first.history.records[1].train_loss
    for mine, before in zip(tree.leaves(first.params), kept, strict=True):
        np.testing.assert_array_equal(mine, before)
    third, fresh = anynet.fit_population(
        NETWORK, (X, Y), [{"start": first}, {}], epochs=1, backend="numpy"
    )
    for mine, single in zip(tree.leaves(third.params), tree.leaves(second.params), strict=True):
        np.testing.assert_allclose(mine, single, rtol=1e-5, atol=1e-6)
    assert fresh.history.best.train_loss > third.history.best.train_loss


@pytest.mark.parametrize("network", [anynet.mlp([5, 7, 3]), anynet.mlp([5, 8, 8, 3])])
def test_start_with_other_shapes_or_types_raises(network: anynet.Network) -> None:
    model = anynet.fit(NETWORK, (X, Y), epochs=1, backend="numpy")
    with pytest.raises(anynet.InvalidArgumentError, match=r"start has .*\(5, 8\)"):
        anynet.fit(network, (X, Y), start=model, backend="numpy")
    with pytest.raises(anynet.InvalidArgumentError, match=r"start must be a Model, .*Network"):
        anynet.fit(network, (X, Y), start=NETWORK, backend="numpy")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "options",
    [
        {"epochs": np.int64(2)},
        {"batch_size": np.int32(8)},
        {"seed": np.int64(3)},
        {"patience": np.int64(2), "validation": 10},
        {"clip_norm": np.float32(1)},
        {"average": np.float32(0.9)},
        {"min_delta": np.float32(0.1)},
        {"momentum": np.float32(0.9)},
        {"target_accuracy": np.float32(0.9)},
        {"shuffle": np.bool_(False)},
    ],
)
def test_numbers_of_numpy_are_kept_in_checkpoints(options: dict[str, Any], tmp_path: Path) -> None:
    arguments = {"epochs": 2, "backend": "numpy", "checkpoint": tmp_path, **options}
    anynet.fit(NETWORK, (X, Y), **arguments)
    assert len(anynet.resume(tmp_path, (X, Y), epochs=3).history.records) == 3

"""ONNX export of the layers of tables, computed by onnxruntime."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from anynet import InvalidArgumentError
from anynet.export import to_onnx, to_sklearn, to_torch
from anynet.nn import (
    LOSSES,
    PBLD,
    Activation,
    BatchEnsembleDense,
    CosineEmbedding,
    Dense,
    Embedding,
    EnsembleDense,
    EnsembleInput,
    EnsembleMean,
    EnsembleScale,
    FeatureScale,
    Network,
    ParametricActivation,
    PiecewiseLinear,
    PiecewiseLinearEmbedding,
)
from anynet.nn.layers import AnyLayer

onnxruntime = pytest.importorskip("onnxruntime")

TOLERANCE = {"float32": 2e-4, "float64": 1e-12}

LAYERS: list[AnyLayer] = [
    PiecewiseLinear(bins=5),
    PiecewiseLinear(3, bins=5),
    PiecewiseLinear(3, bins=5, keep_input=True),
    PiecewiseLinearEmbedding(3, bins=5, width=4),
    PiecewiseLinearEmbedding(bins=5, width=4),
    PBLD(3),
    PBLD(),
    CosineEmbedding(3, width=5),
    CosineEmbedding(width=5),
    Embedding((2, 3), width=3),
    Embedding((2, 3, 4, 1), width=3),
    ParametricActivation("mish"),
]


def value_of(proto: Any, x: np.ndarray, name: str = "value") -> np.ndarray:
    """Compute one output."""
    session = onnxruntime.InferenceSession(
        proto.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    value: np.ndarray = session.run([name], {"x": x})[0]
    return value


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("layer", LAYERS, ids=repr)
def test_layers_match(make_model, rng, layer: AnyLayer, dtype: str) -> None:
    model = make_model(Network(4, (layer, Dense(3))), "squared_error", dtype)
    x = rng.standard_normal((50, 4))
    x[:, 2:] = rng.integers(-1, 4, (50, 2))
    x = x.astype(dtype)
    value = value_of(to_onnx(model), x)
    np.testing.assert_allclose(value, model.predict(x), rtol=0, atol=TOLERANCE[dtype])


@pytest.mark.parametrize("layer", LAYERS, ids=repr)
def test_other_exports_name_the_layer_that_they_lack(make_model, layer: AnyLayer) -> None:
    model = make_model(Network(4, (layer, Dense(3))))
    for export in (to_torch, to_sklearn):
        pytest.importorskip(export.__module__.rpartition(".")[2])
        with pytest.raises(InvalidArgumentError, match=rf"layer 0.*{layer.kind}"):
            export(model)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("loss", ["cross_entropy", "binary_cross_entropy", "poisson", "huber"])
def test_members_and_their_mean_match(make_model, rng, loss: str, dtype: str) -> None:
    link = LOSSES[loss].link_name
    layers = (
        *(EnsembleInput(3), EnsembleScale(3), BatchEnsembleDense(5, 3), Activation("relu")),
        *(Dense(4), EnsembleDense(2, 3), EnsembleMean(3, link)),
    )
    model = make_model(Network(4, layers), loss, dtype)
    x = rng.standard_normal((50, 4)).astype(dtype)
    name = "value" if model.loss.task == "values" else "probabilities"
    np.testing.assert_allclose(
        value_of(to_onnx(model), x, name),
        model.predict_mean(x),
        rtol=TOLERANCE[dtype],
        atol=TOLERANCE[dtype],
    )


def test_scale_layers_and_ntk_become_part_of_plain_layers(make_model, rng) -> None:
    torch = pytest.importorskip("torch")
    pytest.importorskip("sklearn")
    layers = (FeatureScale(), Dense(5, ntk=True), Activation("relu"), Dense(2, ntk=True))
    model = make_model(Network(4, layers), "squared_error", "float64")
    x = rng.standard_normal((50, 4))
    expected = model.predict(x)
    np.testing.assert_allclose(value_of(to_onnx(model), x), expected, rtol=1e-12)
    np.testing.assert_allclose(to_torch(model)(torch.from_numpy(x)).detach(), expected, rtol=1e-12)
    np.testing.assert_allclose(to_sklearn(model).predict(x), expected, rtol=1e-6)

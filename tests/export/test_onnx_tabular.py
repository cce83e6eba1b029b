"""ONNX export of the layers of tables, computed by onnxruntime."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from anynet import InvalidArgumentError
from anynet.export import to_onnx, to_sklearn, to_torch
from anynet.nn import Dense, Network, PiecewiseLinear
from anynet.nn.layers import AnyLayer

onnxruntime = pytest.importorskip("onnxruntime")

TOLERANCE = {"float32": 2e-4, "float64": 1e-12}

LAYERS: list[AnyLayer] = [
    PiecewiseLinear(bins=5),
    PiecewiseLinear(3, bins=5),
    PiecewiseLinear(3, bins=5, keep_input=True),
]


def value_of(proto: Any, x: np.ndarray) -> np.ndarray:
    """Compute the output ``value``."""
    session = onnxruntime.InferenceSession(
        proto.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    value: np.ndarray = session.run(["value"], {"x": x})[0]
    return value


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("layer", LAYERS, ids=repr)
def test_layers_match(make_model, rng, layer: AnyLayer, dtype: str) -> None:
    model = make_model(Network(4, (layer, Dense(3))), "squared_error", dtype)
    x = rng.standard_normal((50, 4)).astype(dtype)
    value = value_of(to_onnx(model), x)
    np.testing.assert_allclose(value, model.predict(x), rtol=0, atol=TOLERANCE[dtype])


@pytest.mark.parametrize("layer", LAYERS, ids=repr)
def test_other_exports_name_the_layer_that_they_lack(make_model, layer: AnyLayer) -> None:
    model = make_model(Network(4, (layer, Dense(3))))
    for export in (to_torch, to_sklearn):
        pytest.importorskip(export.__module__.rpartition(".")[2])
        with pytest.raises(InvalidArgumentError, match=rf"layer 0.*{layer.kind}"):
            export(model)

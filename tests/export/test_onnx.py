"""ONNX export, computed by onnxruntime."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import anynet
from anynet.export import to_onnx
from anynet.nn import (
    ACTIVATIONS,
    Activation,
    BatchNorm,
    Dense,
    Dropout,
    LayerNorm,
    Network,
    Poisson,
    Scale,
)

onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")

# A few rounding errors of sums of about 100 terms of size 1.
TOLERANCE = {"float32": 2e-5, "float64": 1e-13}


def run(proto: Any, x: np.ndarray, *names: str) -> list[np.ndarray]:
    """Compute outputs, all by default, in the order of the graph."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(
        proto.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    results: list[np.ndarray] = session.run(list(names) or None, {"x": x})
    return results


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_onnx_predictions_match_the_model_on_digits(digits_model, digits, dtype: str) -> None:
    model = digits_model.to(anynet.get_backend("numpy", dtype=dtype))
    x = digits.test[0].astype(dtype)
    proto = to_onnx(model)
    assert [output.name for output in proto.graph.output] == ["label", "probabilities", "logits"]
    label, probabilities, logits = run(proto, x)
    np.testing.assert_array_equal(label, model.predict(x))
    np.testing.assert_allclose(probabilities, model.predict_proba(x), atol=TOLERANCE[dtype])
    own = model.network.predict(model.params, x, backend=model.backend)
    np.testing.assert_allclose(logits, own, rtol=TOLERANCE[dtype], atol=TOLERANCE[dtype])
    assert (label.dtype, probabilities.dtype, logits.dtype) == (np.int64, dtype, dtype)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("function", ACTIVATIONS)
def test_every_activation_matches_over_its_whole_range(
    make_model, function: str, dtype: str
) -> None:
    model = make_model(Network(1, (Activation(function),)), "squared_error", dtype)
    x = np.concatenate([-np.geomspace(1e-6, 200, 200), [0], np.geomspace(1e-6, 200, 200)])
    x = x[:, None].astype(dtype)
    (value,) = run(to_onnx(model, outputs=["value"]), x)
    assert value.shape == (401,)
    # 1 + tanh, a factor of sigmoid and GELU on both sides, is exact to one rounding of 1.
    bound = 8 * np.finfo(dtype).eps * (1 + np.abs(x[:, 0]))
    assert np.all(np.abs(value - model.predict(x)) <= bound)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_layers_in_any_order_match(make_model, rng, dtype: str) -> None:
    layers = (
        *(LayerNorm(), Scale(3.0, 0.5), Activation("tanh"), Scale(0.5), Dropout(0.3), Dense(7)),
        *(LayerNorm(0.1), Activation("mish"), BatchNorm(0.1, 1e-3), Dense(3), Scale(-2.0)),
    )
    model = make_model(Network(5, layers), "squared_error", dtype)
    x = rng.standard_normal((50, 5)).astype(dtype)
    value, logits = run(to_onnx(model), x)
    np.testing.assert_allclose(value, model.predict(x), atol=TOLERANCE[dtype])
    np.testing.assert_array_equal(value, logits)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_layers_with_state_match(make_model, rng, dtype: str) -> None:
    network = anynet.mlp([5, 7, 3], batch_norm=True, standardize=True, input_dropout=0.1)
    model = make_model(network, "squared_error", dtype)
    proto = to_onnx(model)
    assert [node.op_type for node in proto.graph.node][:4] == [
        *("Sub", "Mul", "Gemm", "BatchNormalization")
    ]
    x = rng.standard_normal((50, 5)).astype(dtype)
    np.testing.assert_allclose(run(proto, x)[0], model.predict(x), atol=TOLERANCE[dtype])


class Counts(Poisson):
    """A loss whose link function has no ONNX form."""

    link_name = "softplus"


def test_parts_without_an_onnx_form_raise_with_their_name(make_model, monkeypatch) -> None:
    model = replace(make_model(anynet.mlp([4, 2]), "poisson"), loss=Counts())
    to_onnx(model, outputs=["logits"])
    with pytest.raises(anynet.InvalidArgumentError, match=r"loss poisson .*softplus"):
        to_onnx(model)
    monkeypatch.setitem(ACTIVATIONS, "cube", ACTIVATIONS["relu"])
    model = make_model(anynet.mlp([4, 3, 2], activation="cube"))
    with pytest.raises(anynet.InvalidArgumentError, match=r"activation cube .*ONNX"):
        to_onnx(model)


@pytest.mark.parametrize("n_outputs", [1, 3])
@pytest.mark.parametrize(
    "loss", ["binary_cross_entropy", "squared_error", "absolute_error", "huber", "poisson"]
)
def test_labels_and_values_match(make_model, rng, loss: str, n_outputs: int) -> None:
    model = make_model(anynet.mlp([4, 6, n_outputs]), loss)
    x = rng.standard_normal((30, 4), dtype=np.float32)
    first, second, *_ = run(to_onnx(model), x)
    assert first.shape == model.predict(x).shape
    if loss == "binary_cross_entropy":
        np.testing.assert_array_equal(first, model.predict(x))
        np.testing.assert_allclose(second, model.predict_proba(x), atol=2e-6)
    else:
        np.testing.assert_allclose(first, model.predict(x), rtol=2e-5, atol=2e-6)


def test_byte_images_are_cast_and_flattened_in_the_graph(digits_model, digits) -> None:
    pictures = digits.test[0].astype(np.uint8).reshape(-1, 8, 8)
    proto = to_onnx(digits_model, input_dtype="uint8", sample_shape=(8, 8))
    (probabilities,) = run(proto, pictures, "probabilities")
    np.testing.assert_allclose(probabilities, digits_model.predict_proba(pictures), atol=2e-5)
    assert run(proto, pictures[:0])[0].shape == (0,)
    (one,) = run(proto, pictures[:1], "probabilities")
    np.testing.assert_allclose(one, probabilities[:1], atol=1e-6)


@pytest.mark.parametrize("dtype", ["bool", "int8", "int64", "uint16", "float16", "float64"])
def test_other_input_dtypes_are_cast_as_in_predict(make_model, rng, dtype: str) -> None:
    model = make_model(anynet.mlp([4, 6, 3]))
    x = rng.integers(0, 100, (20, 4)).astype(dtype)
    (probabilities,) = run(to_onnx(model, input_dtype=dtype), x, "probabilities")
    np.testing.assert_allclose(probabilities, model.predict_proba(x), atol=2e-5)


def test_the_file_is_valid_and_has_metadata(digits_model, digits, tmp_path: Path) -> None:
    path = tmp_path / "digits.onnx"
    path.write_bytes(b"old")
    to_onnx(digits_model, path, outputs=("probabilities",))
    assert [each.name for each in tmp_path.iterdir()] == ["digits.onnx"]
    onnx.checker.check_model(str(path), full_check=True)
    proto = onnx.load(path)
    assert [(each.domain, each.version) for each in proto.opset_import] == [("", 13)]
    properties = {each.key: each.value for each in proto.metadata_props}
    assert properties["anynet_version"] == anynet.__version__
    assert properties["loss"] == "cross_entropy"
    assert json.loads(properties["classes"]) == list(digits.classes)
    assert json.loads(properties["metadata"]) == digits_model.metadata
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    assert session.get_inputs()[0].shape == ["N", 64]
    assert session.get_outputs()[0].shape == ["N", 10]


def test_a_missing_folder_raises_and_creates_nothing(digits_model, tmp_path: Path) -> None:
    with pytest.raises(anynet.InvalidArgumentError, match=r"there is no folder .*absent"):
        to_onnx(digits_model, tmp_path / "absent" / "digits.onnx")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"outputs": ["value"]}, "'label', 'probabilities', 'logits', got 'value'"),
        ({"outputs": "label"}, "different names"),
        ({"outputs": ["label", "label"]}, "different names"),
        ({"outputs": []}, "different names"),
        ({"input_dtype": "complex64"}, "input_dtype must be one of .* got 'complex64'"),
        ({"sample_shape": (8, 9)}, "make up the 64 inputs"),
        ({"sample_shape": (-8, -8)}, "make up the 64 inputs"),
        ({"classes": ["a", "b"]}, "must name the 10 classes of the network"),
        ({"classes": np.arange(10) * 1j}, "must be numbers, or strings"),
    ],
)
def test_invalid_arguments_raise(digits_model, options: dict[str, Any], message: str) -> None:
    with pytest.raises(anynet.InvalidArgumentError, match=message):
        to_onnx(digits_model, **options)


@pytest.mark.parametrize(
    ("classes", "wanted"),
    [
        ([2**53 + 1, 2**53], None),
        (np.array([7, 2**63 - 1], dtype=np.uint64), None),
        ([-(2**63), 5], None),
        ([True, 2], [1, 2]),
        ([np.float32(0.1), 2], [float(np.float32(0.1)), 2.0]),
        (np.array(["\u00e9", "a\n"]), None),
    ],
)
def test_labels_equal_the_classes_exactly(make_model, rng, classes, wanted) -> None:
    model, x = make_model(anynet.mlp([4, 6, 2])), rng.standard_normal((50, 4)).astype(np.float32)
    (found,) = run(to_onnx(model, classes=classes), x, "label")
    wanted = wanted or np.asarray(classes).tolist()
    places = model.predict(x)
    assert set(places.tolist()) == {0, 1}
    assert np.asarray(found).tolist() == [wanted[place] for place in places]


@pytest.mark.parametrize(
    ("classes", "culprit"),
    [
        (np.array([2**63, 1], dtype=np.uint64), "9223372036854775808"),
        ([2**63, -1], "9223372036854775808"),
        ([1, 2**70], str(2**70)),
        ([2**53 + 1, 0.5], "9007199254740993"),
        ([1, "a"], "'a'"),
        ([b"a", b"b"], "b'a'"),
        ([None, 1], "None"),
        ([True, 1], "different"),
        (["a", "a"], "different"),
        ([0.0, float("nan")], "nan"),
    ],
)
def test_classes_that_onnx_labels_cannot_represent_raise(make_model, classes, culprit) -> None:
    model = make_model(anynet.mlp([4, 6, 2]))
    with pytest.raises(anynet.InvalidArgumentError, match="classes") as caught:
        to_onnx(model, classes=classes)
    assert culprit in str(caught.value)
    to_onnx(model, classes=classes, outputs=["probabilities"])


def test_missing_onnx_raises_with_the_install_command(digits_model, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(anynet.BackendError, match=r"needs onnx.*: pip install onnx$"):
        to_onnx(digits_model)


@pytest.mark.slow
@pytest.mark.skipif("ANYNET_DATA_DIR" not in os.environ, reason="needs MNIST in ANYNET_DATA_DIR")
def test_mnist_labels_match() -> None:
    data = anynet.load_dataset("mnist")
    network = anynet.mlp([784, 128, 64, 10], scale=data.scale)
    model = anynet.fit(network, data.train, epochs=1, backend="numpy")
    x = data.test[0]
    assert x.dtype == np.uint8
    label, probabilities = run(to_onnx(model, input_dtype="uint8"), x, "label", "probabilities")
    np.testing.assert_allclose(probabilities, model.predict_proba(x), atol=2e-5)
    np.testing.assert_array_equal(label, model.predict(x))
    assert np.mean(label == data.test[1]) > 0.94


def test_a_calibrated_ensemble_is_exported_with_its_temperature(digits) -> None:
    x, y = digits.train
    network = anynet.mlp([64, 16, 10], scale=digits.scale)
    configs = [{"seed": seed} for seed in range(2)]
    models = anynet.fit_population(network, (x[:300], y[:300]), configs, epochs=3, backend="numpy")
    calibrated = anynet.calibrate(anynet.Ensemble(models), (x[300:], y[300:]))
    assert calibrated.metadata["temperature"] != 1
    (likely,) = run(to_onnx(calibrated), x[:50].astype(np.float32), "probabilities")
    np.testing.assert_allclose(likely, calibrated.predict_proba(x[:50]), atol=1e-6)

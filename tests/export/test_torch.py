"""torch export and import: the outputs match in both directions."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from safetensors import safe_open

import anynet
from anynet.export import from_torch, save_torch, to_torch, torch_state_dict
from anynet.nn import ACTIVATIONS, Activation, BatchNorm, Dense, Dropout, LayerNorm, Network, Scale

torch = pytest.importorskip("torch")
nn = torch.nn


def logits_of(module, x: np.ndarray) -> np.ndarray:
    with torch.no_grad():
        result: np.ndarray = module(torch.from_numpy(x)).numpy()
    return result


def test_outputs_match_on_digits(digits_model, digits) -> None:
    x = digits.test[0].astype(np.float32)
    module = to_torch(digits_model)
    kinds = [type(each).__name__ for each in module]
    assert kinds == ["Linear", "LayerNorm", "ReLU", "Dropout", "Linear"]
    assert not module.training
    likely = torch.softmax(torch.from_numpy(logits_of(module, x)), 1).numpy()
    np.testing.assert_allclose(likely, digits_model.predict_proba(x), atol=2e-6)
    back = from_torch(module, "cross_entropy", "numpy")
    np.testing.assert_array_equal(back.predict(x), digits_model.predict(x))
    assert back.network.n_inputs == 64


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("function", ACTIVATIONS)
def test_every_activation_round_trips(make_model, rng, function: str, dtype: str) -> None:
    layers = (
        *(Scale(0.5, -0.25), Dense(6), LayerNorm(0.01), Scale(2.0, 0.5), Activation(function)),
        *(Scale(3.0), Dropout(0.3), Dense(3)),
    )
    model = make_model(Network(4, layers), "squared_error", dtype)
    x = 3 * rng.standard_normal((40, 4)).astype(dtype)
    tolerance = 2e-5 if dtype == "float32" else 1e-13
    module = to_torch(model)
    np.testing.assert_allclose(logits_of(module, x), model.predict(x), atol=tolerance)
    back = from_torch(module, "squared_error", "numpy")
    assert back.backend.dtype == dtype
    np.testing.assert_allclose(back.predict(x), model.predict(x), atol=tolerance)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_layers_with_state_round_trip(make_model, rng, tmp_path: Path, dtype: str) -> None:
    network = anynet.mlp([5, 7, 3], batch_norm=True, standardize=True, input_dropout=0.1)
    model = make_model(network, "squared_error", dtype)
    x = rng.standard_normal((50, 5)).astype(dtype)
    module = to_torch(model)
    kinds = [type(each).__name__ for each in module]
    assert kinds == ["Dropout", "Linear", "BatchNorm1d", "ReLU", "Linear"]
    tolerance = 2e-5 if dtype == "float32" else 1e-13
    np.testing.assert_allclose(logits_of(module, x), model.predict(x), atol=tolerance)
    arrays = torch_state_dict(model)
    assert list(arrays) == list(module.state_dict())
    for name, leaf in module.state_dict().items():
        np.testing.assert_array_equal(leaf.numpy(), arrays[name])
    save_torch(model, tmp_path / "model.safetensors")
    back = from_torch(module, "squared_error", "numpy")
    assert back.network.layers[2] == BatchNorm()
    np.testing.assert_allclose(back.predict(x), model.predict(x), atol=tolerance)


def test_an_activation_without_a_torch_module_raises_with_its_name(make_model, monkeypatch) -> None:
    monkeypatch.setitem(ACTIVATIONS, "cube", ACTIVATIONS["relu"])
    model = make_model(anynet.mlp([4, 3, 2], activation="cube"))
    with pytest.raises(anynet.InvalidArgumentError, match=r"activation cube .*torch"):
        to_torch(model)


def test_the_module_shares_no_memory_with_the_model(digits_model, digits) -> None:
    before = digits_model.predict_proba(digits.test[0])
    with torch.no_grad():
        to_torch(digits_model)[0].weight.zero_()
    np.testing.assert_array_equal(digits_model.predict_proba(digits.test[0]), before)


def test_the_state_file_loads_into_the_named_modules(digits_model, digits, tmp_path: Path) -> None:
    save_torch(digits_model, tmp_path / "digits.safetensors")
    with safe_open(tmp_path / "digits.safetensors", framework="pt") as file:
        notes = file.metadata()
        state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    module = eval(notes["sequential"], {"nn": nn})
    module.load_state_dict(state)
    assert notes["loss"] == "cross_entropy"
    x = digits.test[0].astype(np.float32)
    np.testing.assert_array_equal(logits_of(module.eval(), x), logits_of(to_torch(digits_model), x))
    own = to_torch(digits_model).state_dict()
    arrays = torch_state_dict(digits_model)
    assert list(own) == list(arrays)
    for name, array in arrays.items():
        np.testing.assert_array_equal(own[name].numpy(), array)
    with pytest.raises(anynet.ModelFileError, match="not a model that anynet saved"):
        anynet.load(tmp_path / "digits.safetensors")


def test_common_torch_modules_are_imported() -> None:
    torch.manual_seed(0)
    module = nn.Sequential(
        nn.Flatten(),
        nn.Linear(12, 8, bias=False),
        nn.LayerNorm(8, elementwise_affine=False),
        nn.GELU(approximate="tanh"),
        nn.Linear(8, 3),
    ).to(torch.bfloat16)
    module = module.to(torch.float32)
    x = np.random.default_rng(0).standard_normal((10, 3, 4), dtype=np.float32)
    model = from_torch(module, "cross_entropy", "numpy")
    likely = torch.softmax(torch.from_numpy(logits_of(module, x)), 1).numpy()
    np.testing.assert_allclose(model.predict_proba(x), likely, atol=2e-6)


@pytest.mark.parametrize(
    ("module", "message"),
    [
        (nn.Linear(2, 3), "expected a torch.nn.Sequential, got Linear"),
        (nn.Sequential(nn.ReLU()), "at least one Linear"),
        (nn.Sequential(nn.Linear(2, 3), nn.Softmax(1)), "module 1, Softmax.*belongs to the loss"),
        (nn.Sequential(nn.Linear(2, 3), nn.GELU(), nn.Linear(3, 1)), "module 1, GELU"),
        (nn.Sequential(nn.Linear(2, 3), nn.LeakyReLU(0.2)), "module 1, LeakyReLU"),
    ],
)
def test_modules_without_an_anynet_layer_raise(module, message: str) -> None:
    with pytest.raises(anynet.InvalidArgumentError, match=message):
        from_torch(module, "cross_entropy")


def test_writing_files_does_not_require_torch(digits_model, monkeypatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    save_torch(digits_model, tmp_path / "digits.safetensors")
    with pytest.raises(anynet.BackendError, match=r"needs torch.*: pip install torch$"):
        to_torch(digits_model)


def test_a_calibrated_model_is_exported_with_its_temperature(digits: anynet.Dataset) -> None:
    x, y = digits.train
    network = anynet.mlp([64, 16, 10], scale=digits.scale)
    model = anynet.fit(network, (x[:300], y[:300]), epochs=3, backend="numpy")
    calibrated = anynet.calibrate(model, (x[300:], y[300:]))
    assert calibrated.metadata["temperature"] != 1
    exported = to_torch(calibrated)(torch.from_numpy(x[:50].astype(np.float32)))
    likely = torch.softmax(exported, dim=1).detach().numpy()
    np.testing.assert_allclose(likely, calibrated.predict_proba(x[:50]), atol=1e-6)

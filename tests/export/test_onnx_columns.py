"""ONNX export of preprocessing and networks together, computed by onnxruntime on real columns."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
from sklearn.datasets import load_diabetes

import anynet
from anynet import InvalidArgumentError
from anynet.data.tables.encoders import Number
from anynet.data.tables.values import to_days, to_numbers, to_text, to_truth
from anynet.export.onnx_columns import add_columns
from anynet.export.onnx_graph import Graph
from anynet.tabular import Fast, Pack, RealMLP, RealMLPS, TabMMini

onnxruntime = pytest.importorskip("onnxruntime")

READ = {"number": to_numbers, "boolean": to_truth, "date": to_days}

PRESETS = [
    Fast(n_members=2, epochs=4, width=8),
    RealMLPS(epochs=4, width=8),
    RealMLP(epochs=4, width=8),
    TabMMini(n_members=3, epochs=2, width=8),
    Pack(n_members=3, epochs=2, width=8),
]


@pytest.fixture
def columns(rng) -> dict[str, Any]:
    """Return columns of all kinds with missing values, and one with the name of an output."""
    n = 300
    words = rng.choice(["red", "green", "blue", "?"], size=n)
    many = np.array([f"shop {each}" for each in rng.integers(0, 70, n)])
    day = (np.datetime64("2020-01-01") + rng.integers(0, 2000, n)).astype(str)
    return {
        "value": np.where(rng.random(n) < 0.1, np.nan, rng.normal(size=n)),
        "repeated": np.round(rng.normal(size=n)),
        "colour": np.where(words == "?", "", words),
        "two": rng.choice(["up", "down"], size=n),
        "shop": many,
        "open": rng.choice(["yes", "no"], size=n),
        "day": np.where(rng.random(n) < 0.1, "", day),
    }


def raw(model: Any, columns: dict[str, Any]) -> dict[str, np.ndarray]:
    """Return the columns as the graph takes them."""
    preprocessing = anynet.Preprocessing.of(model)
    table, _ = preprocessing.read(columns)
    given: dict[str, np.ndarray] = {}
    for encoder in preprocessing.encoders:
        column = table.columns[encoder.column]
        name = encoder.column
        if name == "value" and preprocessing.target.task == "regression":
            name = "value_"  # an output has the name
        if encoder.reads in READ:
            given[name] = READ[encoder.reads](column)[0][:, None]
        else:
            given[name] = to_text(column).astype(object)[:, None]
    return given


def run(proto: Any, given: dict[str, np.ndarray], *names: str) -> list[np.ndarray]:
    session = onnxruntime.InferenceSession(
        proto.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    assert {each.name for each in session.get_inputs()} == set(given)
    found: list[np.ndarray] = session.run(list(names), given)
    return found


@pytest.mark.filterwarnings("ignore:.*taken as")
@pytest.mark.parametrize("preset", PRESETS, ids=lambda preset: preset.kind)
def test_raw_columns_give_the_same_classes_and_values(columns, preset: Any) -> None:
    pandas = pytest.importorskip("pandas")
    x = pandas.DataFrame(columns)
    new = x.assign(shop="unseen", value=x["value"] * 3, colour="pink")
    y = np.where(x["two"] == "up", "b", "a")
    made = anynet.TabularClassifier(preset, random_state=0, backend="numpy").fit(x, y)
    proto = made.to_onnx()
    for frame in (x, new):
        label, shares = run(proto, raw(made.ensemble_, dict(frame)), "label", "probabilities")
        np.testing.assert_allclose(shares, made.predict_proba(frame), rtol=0, atol=5e-6)
        sure = np.abs(shares[:, 0] - 0.5) > 1e-4
        assert label[sure].tolist() == made.predict(frame)[sure].tolist()
    values = 1e6 + 1e3 * x["repeated"].to_numpy()
    regressor = anynet.TabularRegressor(preset, random_state=0, backend="numpy").fit(x, values)
    (value,) = run(regressor.to_onnx(), raw(regressor.ensemble_, dict(new)), "value")
    np.testing.assert_allclose(value, regressor.predict(new), rtol=0, atol=0.02)


@pytest.mark.parametrize("preset", PRESETS, ids=lambda preset: preset.kind)
def test_measured_tables_give_the_same_values(preset: Any) -> None:
    pytest.importorskip("pandas")
    x, y = load_diabetes(return_X_y=True, as_frame=True, scaled=False)
    made = anynet.TabularRegressor(preset, random_state=0, backend="numpy").fit(x[:300], y[:300])
    (value,) = run(made.to_onnx(), raw(made.ensemble_, dict(x)), "value")
    np.testing.assert_allclose(value, made.predict(x), rtol=1e-5)


def test_a_model_without_a_table_is_an_error(make_model) -> None:
    model = make_model(anynet.mlp([3, 2]))
    with pytest.raises(anynet.ModelFileError, match="table"):
        anynet.export.to_onnx(model, columns=True)


@pytest.mark.parametrize("option", [{"input_dtype": "uint8"}, {"sample_shape": (3,)}])
def test_options_of_the_other_input_are_an_error(make_model, option: dict[str, Any]) -> None:
    with pytest.raises(InvalidArgumentError, match="input_dtype and sample_shape"):
        anynet.export.to_onnx(make_model(anynet.mlp([3, 2])), columns=True, **option)


@pytest.mark.filterwarnings("ignore:.*taken as")
def test_encoders_without_a_form_are_named(columns) -> None:
    pandas = pytest.importorskip("pandas")

    @dataclass(frozen=True)
    class Own(Number):
        pass

    x = pandas.DataFrame(columns)
    made = anynet.TabularRegressor(PRESETS[0], random_state=0, backend="numpy")
    preprocessing = made.fit(x, x["repeated"]).preprocessing_
    own = Own("value", 0.0, 1.0, False)
    encoders = (own, *preprocessing.encoders[1:])
    graph = Graph(pytest.importorskip("onnx"), np.dtype("float32"))
    with pytest.raises(InvalidArgumentError, match=r"'number' of 'value'"):
        add_columns(graph, replace(preprocessing, encoders=encoders), ["value"])

"""Conversion of estimators to models, files, and objects of other libraries."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import sklearn.neural_network as scikit_learn

import anynet
from anynet import nn, optim
from anynet.estimators.bridges import FIGURES

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
QUICK = {"max_iter": 4, "random_state": 0, "hidden_layer_sizes": (9, 8)}


def test_estimators_round_trip_through_files(table, tmp_path: Path) -> None:
    model = table.fit(anynet, activation=["tanh", "relu"], layer_norm=True, **QUICK)
    model.save(tmp_path / "model.safetensors")
    loaded = type(model).load(tmp_path / "model.safetensors")
    np.testing.assert_array_equal(loaded.predict(table.X), model.predict(table.X))
    assert loaded.score(table.X, table.y) == model.score(table.X, table.y)
    assert loaded.get_params() == model.get_params()
    for name in FIGURES:
        assert getattr(loaded, name) == getattr(model, name)
    loaded.partial_fit(table.X, table.y)
    other = anynet.MLPRegressor if table.estimator == "MLPClassifier" else anynet.MLPClassifier
    with pytest.raises(anynet.ModelFileError, match=f"holds {table.estimator}, not an"):
        other.load(tmp_path / "model.safetensors")


@pytest.mark.parametrize(
    "parameters",
    [
        {"hidden_layer_sizes": np.array([5, 4])},
        {"hidden_layer_sizes": np.int64(7)},
        {"hidden_layer_sizes": [6]},
        {"max_iter": np.int64(3), "random_state": np.int64(3), "alpha": np.float32(0.5)},
        {"early_stopping": np.True_, "n_iter_no_change": np.inf},
        {"solver": optim.AdamW(weight_decay=0.3)},
        {"learning_rate": optim.Warmup(optim.Cosine(0.02, epochs=4), epochs=2)},
        {"class_weight": {0: 2.0, np.int64(3): 0.5}},
        {"activation": ("tanh",), "hidden_layer_sizes": (5,)},
    ],
)
def test_parameters_round_trip_through_files(parameters, classes, tmp_path: Path) -> None:
    model = classes.fit(anynet, **QUICK | parameters)
    model.save(tmp_path / "model")
    loaded = anynet.MLPClassifier.load(tmp_path / "model")
    for name, value in model.get_params().items():
        expected = value.tolist() if isinstance(value, np.ndarray) else value
        assert getattr(loaded, name) == expected, name
        assert not isinstance(getattr(loaded, name), np.generic)
    again = loaded.fit(classes.X, classes.y)
    np.testing.assert_array_equal(again.coefs_[0], model.coefs_[0])


def test_loss_options_and_curves_round_trip_through_files(values, tmp_path: Path) -> None:
    model = values.fit(anynet, loss=nn.Huber(2.0), early_stopping=True, **QUICK)
    model.save(tmp_path / "model")
    loaded = anynet.MLPRegressor.load(tmp_path / "model")
    assert loaded.loss == nn.Huber(2.0)
    for name in FIGURES:
        assert getattr(loaded, name) == getattr(model, name)


@pytest.mark.parametrize(
    "parameters", [{"callbacks": [print]}, {"random_state": np.random.RandomState(0)}]
)
def test_parameters_that_a_file_cannot_store_raise(parameters, classes, tmp_path: Path) -> None:
    model = classes.fit(anynet, **QUICK | parameters)
    with pytest.raises(anynet.InvalidArgumentError, match=f"{next(iter(parameters))}=.* pickle"):
        model.save(tmp_path / "model")
    assert not (tmp_path / "model").exists()
    model.to_model().save(tmp_path / "network")
    read = anynet.load(tmp_path / "network", backend="numpy")
    np.testing.assert_array_equal(read.predict(classes.X), model.predict(classes.X))
    with pytest.raises(anynet.ModelFileError, match="holds the network alone"):
        anynet.MLPClassifier.load(tmp_path / "network")


def test_estimator_files_load_as_models(classes, tmp_path: Path) -> None:
    model = classes.fit(anynet, **QUICK)
    model.save(tmp_path / "model.safetensors")
    read = anynet.load(tmp_path / "model.safetensors", backend="numpy")
    np.testing.assert_array_equal(read.predict(classes.X), model.predict(classes.X))
    assert read.metadata["classes"] == list(range(10))


def test_class_and_feature_names_round_trip_through_files(classes, tmp_path: Path) -> None:
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(classes.X).rename(columns="pixel {}".format)
    names = np.array([f"digit {one}" for one in classes.y])
    anynet.MLPClassifier(**QUICK).fit(frame, names).save(tmp_path / "model")
    loaded = anynet.MLPClassifier.load(tmp_path / "model")
    assert set(loaded.predict(frame)) <= set(names)
    np.testing.assert_array_equal(loaded.feature_names_in_, frame.columns)


@pytest.mark.parametrize("solver", ["adam", "adamw"])
def test_scikit_learn_round_trip(table, solver: str) -> None:
    model = table.fit(anynet, solver=solver, activation="logistic", **QUICK)
    theirs = model.to_sklearn()
    assert type(theirs).__module__.startswith("sklearn.")
    np.testing.assert_allclose(theirs.predict(table.X), model.predict(table.X), rtol=1e-6)
    assert theirs.get_params()["alpha"] == model.alpha
    back = type(model).from_sklearn(theirs)
    np.testing.assert_allclose(back.predict(table.X), model.predict(table.X), rtol=1e-6)
    back.partial_fit(table.X, table.y)


@pytest.mark.parametrize(
    ("solver", "schedule", "expected"),
    [
        ("sgd", optim.Cosine(0.1, epochs=3), ("sgd", "constant")),
        ("sgd", "invscaling", ("sgd", "invscaling")),
        (optim.SGD(), "adaptive", ("adam", "adaptive")),
    ],
)
def test_to_scikit_learn_drops_only_unsupported_parameters(
    classes, solver, schedule, expected
) -> None:
    model = classes.fit(anynet, solver=solver, learning_rate=schedule, **QUICK)
    theirs = model.to_sklearn()
    assert (theirs.solver, theirs.learning_rate) == expected


def test_from_scikit_learn_imports_fitted_estimators(table) -> None:
    theirs = table.fit(scikit_learn, **QUICK)
    ours = getattr(anynet, table.estimator).from_sklearn(theirs)
    np.testing.assert_allclose(ours.predict(table.X), theirs.predict(table.X), rtol=1e-6)
    assert ours.loss_curve_ == theirs.loss_curve_
    with pytest.raises(TypeError, match="expected a fitted"):
        type(ours).from_sklearn(type(theirs)())


def test_to_torch_outputs_match(classes) -> None:
    torch = pytest.importorskip("torch")
    model = classes.fit(anynet, **QUICK)
    logits = model.to_torch()(torch.asarray(classes.X)).detach().numpy()
    np.testing.assert_array_equal(logits.argmax(axis=1), model.predict(classes.X))


def test_to_onnx_outputs_match(classes, tmp_path: Path) -> None:
    pytest.importorskip("onnx")
    runtime = pytest.importorskip("onnxruntime")
    single = classes._replace(X=classes.X.astype(np.float32))
    model = single.fit(anynet, **QUICK)
    model.to_onnx(tmp_path / "model.onnx")
    session = runtime.InferenceSession(tmp_path / "model.onnx", providers=["CPUExecutionProvider"])
    (shares,) = session.run(["probabilities"], {"x": single.X})
    np.testing.assert_allclose(shares, model.predict_proba(single.X), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("n_classes", [1, 2, 10])
@pytest.mark.parametrize(
    "name", [lambda y: y + 5, lambda y: y > 0, lambda y: y.astype(float), lambda y: y.astype(str)]
)
def test_to_onnx_outputs_the_class_labels(classes, n_classes: int, name, tmp_path: Path) -> None:
    pytest.importorskip("onnx")
    runtime = pytest.importorskip("onnxruntime")
    table = classes._replace(X=classes.X.astype(np.float32), y=name(classes.y % n_classes))
    model = table.fit(anynet, **QUICK | {"learning_rate_init": 0.01})
    model.to_onnx(tmp_path / "model.onnx")
    session = runtime.InferenceSession(tmp_path / "model.onnx", providers=["CPUExecutionProvider"])
    label, shares = session.run(["label", "probabilities"], {"x": table.X})
    np.testing.assert_array_equal(label, model.predict(table.X))
    expected = model.predict_proba(table.X)
    assert shares.shape == expected.shape
    np.testing.assert_allclose(shares, expected, rtol=1e-4, atol=1e-6)


def test_labels_that_a_file_cannot_store_raise(classes, tmp_path: Path) -> None:
    days = np.datetime64("2026-01-01") + classes.y % 3
    model = classes._replace(y=days).fit(anynet, **QUICK)
    for write in (model.save, model.to_onnx):
        with pytest.raises(anynet.InvalidArgumentError, match=r"y has datetime64.*y\.astype"):
            write(tmp_path / "model")
    assert not (tmp_path / "model").exists()


@pytest.mark.parametrize(
    "names",
    [
        np.array([0, 2**64 - 1], dtype=np.uint64),
        np.array([2**53, 2**53 + 1, 2**53 + 2]),
        np.array([1, 200, 255], dtype=np.uint8),
        np.array([1, 2, 3], dtype=np.float32),
        np.array([False, True]),
        np.array(["a", "b\u00e9", "c"]),
    ],
    ids=lambda names: str(names.dtype),
)
def test_classes_keep_their_values_and_type(names: np.ndarray, classes, tmp_path: Path) -> None:
    y = names[np.arange(len(classes.X)) % len(names)]
    model = anynet.MLPClassifier((4,), max_iter=2, tol=1e9, random_state=0).fit(classes.X, y)
    model.save(tmp_path / "model")
    theirs = model.to_sklearn()
    for again in (
        theirs,
        anynet.MLPClassifier.from_sklearn(theirs),
        anynet.MLPClassifier.load(tmp_path / "model"),
    ):
        assert again.classes_.dtype == names.dtype
        np.testing.assert_array_equal(again.predict(classes.X), model.predict(classes.X))


def test_multioutput_classifiers_cannot_be_converted() -> None:
    X = np.random.default_rng(0).normal(size=(30, 2))
    y = np.stack([np.arange(30) % 3, np.arange(30) % 2], axis=1)
    with pytest.raises(anynet.InvalidArgumentError, match="not several at once"):
        anynet.MLPClassifier(**QUICK).fit(X, y).to_model()

"""Arrays of any library: training on their device, results of the same type."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pytest

import anynet
from anynet.backends import Backend, get_backend

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
QUICK = {"max_iter": 4, "random_state": 0, "batch_size": 64, "hidden_layer_sizes": (11,)}
OTHERS = pytest.mark.skip_backend("numpy", reason="host arrays")
READ_ONLY = pytest.mark.skip_backend("readonly", reason="host arrays")


def on(backend: Backend, array: np.ndarray) -> Any:
    return backend.to_device(array)


def place(array: Any) -> tuple[Any, Any]:
    """Return the type and the device of an array."""
    return type(array), getattr(array, "device", None)


@OTHERS
@READ_ONLY
@pytest.mark.parametrize("solver", ["adam", "sgd", "lbfgs"])
def test_arrays_are_trained_on_their_own_device(backend, table, solver: str) -> None:
    here = table._replace(X=table.X.astype(np.float32))
    expected = here.fit(anynet, solver=solver, **QUICK)
    there = here._replace(X=on(backend, here.X))
    model = there.fit(anynet, solver=solver, **QUICK)
    assert model.loss_ == pytest.approx(expected.loss_, rel=1e-4)
    home = place(there.X)
    for array in (*model.coefs_, *model.intercepts_, model.predict(there.X)):
        assert place(array) == home
    score = model.score(there.X, table.y)
    assert isinstance(score, float)
    assert score == pytest.approx(expected.score(here.X, table.y), abs=0.02)
    moved = model.score(there.X, on(backend, np.asarray(table.y)))
    assert moved == pytest.approx(score, rel=1e-5)
    if table.estimator == "MLPClassifier":
        for method in ("predict_proba", "predict_log_proba"):
            found = getattr(model, method)(there.X)
            assert place(found) == home
            found, wanted = backend.to_host(found), getattr(expected, method)(here.X)
            # float32 has few correct digits for tiny probabilities
            if method == "predict_log_proba":
                found, wanted = np.exp(found), np.exp(wanted)
            np.testing.assert_allclose(found, wanted, rtol=2e-3, atol=1e-4)


@OTHERS
@READ_ONLY
def test_targets_and_weights_are_moved_to_the_device_of_the_inputs(backend, classes) -> None:
    X = on(backend, classes.X.astype(np.float32))
    weight = np.linspace(0.1, 1, len(classes.y), dtype=np.float32)
    model = anynet.MLPClassifier(early_stopping=True, **QUICK)
    host = model.fit(X, classes.y, weight).loss_curve_
    assert model.fit(X, on(backend, classes.y), on(backend, weight)).loss_curve_ == host
    names = np.array([f"class {one}" for one in classes.y])
    assert set(model.fit(X, names).predict(X)) <= set(names)
    model.fit(X, classes.y, X_val=X, y_val=on(backend, classes.y))
    assert len(model.validation_scores_) == model.n_iter_


@OTHERS
@READ_ONLY
@pytest.mark.skip_backend("strict", reason="scikit-learn splits samples by arrays of NumPy")
def test_searches_accept_targets_on_the_device(backend, table) -> None:
    X, y = on(backend, table.X[:90].astype(np.float32)), np.asarray(table.y[:90])
    network = getattr(anynet, table.estimator)(**QUICK | {"batch_size": 30})
    search = anynet.PopulationSearchCV(network, {"alpha": [1e-4, 0.1]}, cv=2)
    scores = [
        search.fit(X, each).cv_results_["mean_test_score"].copy() for each in (y, on(backend, y))
    ]
    np.testing.assert_allclose(*scores, rtol=1e-5)


@OTHERS
@READ_ONLY
@pytest.mark.parametrize("method", ["predict", "predict_proba", "predict_log_proba", "score"])
def test_mixed_namespaces_raise(backend, classes, method: str) -> None:
    X = classes.X.astype(np.float32)
    rest = [classes.y] if method == "score" else []
    there = anynet.MLPClassifier(**QUICK).fit(on(backend, X), classes.y)
    here = anynet.MLPClassifier(**QUICK).fit(X, classes.y)
    name = "predict" if method == "score" else method
    message = rf"Inputs passed to MLPClassifier.{name}\(\) must use the same namespace"
    with pytest.raises(ValueError, match=message):
        getattr(there, method)(X, *rest)
    with pytest.raises(ValueError, match=message):
        getattr(here, method)(on(backend, X), *rest)


def neg_error(estimator: Any, X: np.ndarray, y: np.ndarray) -> float:
    """Return the negative error; a handwritten scorer."""
    return -float(np.mean(estimator.predict(X) != y))


@OTHERS
@READ_ONLY
@pytest.mark.parametrize(
    ("name", "scoring"),
    [("classes", "f1_macro"), ("classes", neg_error), ("values", "r2"), ("values", "loss")],
)
@pytest.mark.parametrize("given", [False, True])
def test_scorers_work_for_arrays_on_any_device(
    backend, request, name: str, scoring, given: bool
) -> None:
    table = request.getfixturevalue(name)
    here = table._replace(X=table.X.astype(np.float32))
    scores = []
    for X in (here.X, on(backend, here.X)):
        model = getattr(anynet, table.estimator)(early_stopping=True, scoring=scoring, **QUICK)
        held = {"X_val": X[:50, :], "y_val": here.y[:50]} if given else {}
        model.fit(X, here.y, **held)
        assert place(model.coefs_[0]) == place(X)
        scores.append(model.validation_scores_)
    np.testing.assert_allclose(scores[1], scores[0], rtol=1e-3, atol=0.03)


@pytest.mark.parametrize("name", ["numpy", "torch", "jax"])
def test_host_arrays_train_on_another_backend_and_results_are_host_arrays(name: str, table) -> None:
    pytest.importorskip(name)
    model = table.fit(anynet, backend=name, device="cpu", **QUICK)
    expected = table.fit(anynet, **QUICK)
    assert model.loss_ == pytest.approx(expected.loss_, rel=1e-4)
    predicted = model.predict(table.X)
    assert isinstance(predicted, np.ndarray)
    assert predicted.dtype == expected.predict(table.X).dtype
    assert all(type(coef) is np.ndarray and coef.dtype == np.float64 for coef in model.coefs_)


@pytest.mark.cuda
def test_host_arrays_are_trained_on_cuda(table) -> None:
    try:
        model = table.fit(anynet, device="cuda", **QUICK)
    except anynet.BackendError as error:
        pytest.skip(str(error))
    assert model.loss_ == pytest.approx(table.fit(anynet, **QUICK).loss_, rel=1e-4)
    assert isinstance(model.predict(table.X), np.ndarray)


def test_a_missing_device_raises_with_the_fix(classes) -> None:
    with pytest.raises(anynet.BackendError, match="numpy backend computes on device 'cpu' only"):
        classes.fit(anynet, backend="numpy", device="cuda:7")


@OTHERS
@READ_ONLY
@pytest.mark.parametrize("method", ["partial_fit", "fit"])
def test_continued_training_requires_the_same_namespace_and_device(
    backend, classes, method: str
) -> None:
    there = on(backend, classes.X.astype(np.float32))
    for first, second in ((there, classes.X), (classes.X, there)):
        model = anynet.MLPClassifier(warm_start=True, **QUICK).fit(first, classes.y)
        before = model.loss_curve_[:]
        with pytest.raises(ValueError, match=rf"MLPClassifier\.{method}\(\) must use the same"):
            getattr(model, method)(second, classes.y)
        assert place(model.coefs_[0]) == place(first)
        assert model.loss_curve_ == before
        getattr(model, method)(first, classes.y)
        model.set_params(warm_start=False).fit(second, classes.y)
        assert place(model.coefs_[0]) == place(second)


def test_errors_name_the_array_libraries_of_fit_and_predict(classes) -> None:
    torch = pytest.importorskip("torch")
    model = classes.fit(anynet, **QUICK)
    with pytest.raises(ValueError, match=r"\(numpy\) and predict \(torch on cpu\) differ"):
        model.predict(torch.asarray(classes.X))


@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_data_frames(library: str, values) -> None:
    frames = pytest.importorskip(library)
    columns = [f"c{index}" for index in range(values.X.shape[1])]
    frame = frames.DataFrame({name: values.X[:, i] for i, name in enumerate(columns)})
    target = frames.Series(values.y)
    model = anynet.MLPRegressor(**QUICK).fit(frame, target)
    np.testing.assert_array_equal(model.coefs_[0], values.fit(anynet, **QUICK).coefs_[0])
    np.testing.assert_array_equal(model.feature_names_in_, columns)
    assert isinstance(model.predict(frame), np.ndarray)


@OTHERS
@READ_ONLY
@pytest.mark.skip_backend(
    "strict", reason="get_backend does not support it: results are NumPy arrays"
)
def test_pickles_contain_numpy_arrays_and_restore_the_original_device(backend, classes) -> None:
    X = on(backend, classes.X.astype(np.float32))
    model = anynet.MLPClassifier(**QUICK).fit(X, classes.y)
    state = model.__getstate__()
    assert all(type(array) is np.ndarray for array in state["coefs_"] + state["intercepts_"])
    loaded = pickle.loads(pickle.dumps(model))
    assert place(loaded.coefs_[0]) == place(X)
    assert_equal(backend, loaded.predict(X), model.predict(X))
    for one in (model, loaded):
        one.partial_fit(X, classes.y)
    assert loaded.loss_ == model.loss_
    assert_equal(backend, loaded.coefs_[0], model.coefs_[0])


@pytest.mark.parametrize("fallback", ["cpu", "numpy"])
def test_a_pickle_from_a_missing_device_loads_on_an_available_one(
    fallback: str, classes, monkeypatch
) -> None:
    torch = pytest.importorskip("torch")
    X = torch.asarray(classes.X)
    model = anynet.MLPClassifier(**QUICK).fit(X, classes.y)
    state = model.__getstate__()
    name, _, dtype = state["_home"]
    state["_home"] = (name, "cuda:99", dtype)
    if fallback == "numpy":

        def nothing(*_: object) -> None:
            message = "torch is not installed"
            raise anynet.BackendError(message)

        monkeypatch.setattr("anynet.backends.select.get_backend", nothing)
    loaded = anynet.MLPClassifier.__new__(anynet.MLPClassifier)
    loaded.__setstate__(state)
    inputs = X if fallback == "cpu" else classes.X
    assert type(loaded.coefs_[0]) is type(inputs)
    np.testing.assert_array_equal(np.asarray(loaded.predict(inputs)), model.predict(X).numpy())


def test_optimizer_state_on_a_device_is_pickled_as_numpy(classes) -> None:
    pytest.importorskip("torch")
    model = classes.fit(anynet, backend="torch", **QUICK)
    loaded = pickle.loads(pickle.dumps(model))
    for one in (model, loaded):
        one.partial_fit(classes.X, classes.y)
    assert loaded.loss_ == model.loss_
    assert type(model.__getstate__()["_optimizer"].state.mean[0]["weight"]) is np.ndarray


def assert_equal(backend: Backend, found: Any, expected: Any) -> None:
    np.testing.assert_array_equal(backend.to_host(found), backend.to_host(expected))


def test_integer_inputs_on_a_device_are_accepted() -> None:
    torch = pytest.importorskip("torch")
    X = torch.randint(0, 255, (80, 5), dtype=torch.uint8)
    y = X[:, 0] > 100
    model = anynet.MLPClassifier(**QUICK).fit(X, y)
    assert model.coefs_[0].dtype == torch.float32
    assert model.predict(X).dtype == torch.bool
    assert get_backend("torch").to_host(model.predict_proba(X)).shape == (80, 2)
